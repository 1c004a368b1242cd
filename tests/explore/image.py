"""Redis's whole content as one value that can be compared, kept and put back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from tests.support.stepped_time import CLOCK, KEY, START_MS
from worker.store.connection import Store

PREFIX = "cx:"

CAPTURE = """
-- capture(prefix) -> the content of every key with that prefix, sorted, as JSON
local IGNORED = { history = true, detail = true }
local keys = redis.call('KEYS', ARGV[1] .. '*')
table.sort(keys)
local function by_first(a, b) return a[1] < b[1] end
local rows = {}
for i, key in ipairs(keys) do
  local kind = redis.call('TYPE', key).ok
  local content
  if kind == 'hash' then
    local flat = redis.call('HGETALL', key)
    content = {}
    for j = 1, #flat, 2 do
      if not IGNORED[flat[j]] then content[#content + 1] = { flat[j], flat[j + 1] } end
    end
    table.sort(content, by_first)
  elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then
    content = redis.call('SMEMBERS', key)
    table.sort(content)
  elseif kind == 'list' then content = redis.call('LRANGE', key, 0, -1)
  else content = redis.call('GET', key) end
  rows[i] = { key, kind, content }
end
return cjson.encode(rows)
"""

RESTORE = f"""
-- restore(now_ms, image) -> 1
-- Empty Redis, set the stepped time, and write an image back.
redis.call('FLUSHDB')
redis.call('SET', '{KEY}', ARGV[1])
for _, row in ipairs(cjson.decode(ARGV[2])) do
  local key, kind, content = row[1], row[2], row[3]
  if kind == 'hash' then
    local flat = {{}}
    for _, pair in ipairs(content) do
      flat[#flat + 1] = pair[1]
      flat[#flat + 1] = pair[2]
    end
    redis.call('HSET', key, unpack(flat))
  elseif kind == 'zset' then
    for i = 1, #content, 2 do redis.call('ZADD', key, content[i + 1], content[i]) end
  elseif kind == 'set' then redis.call('SADD', key, unpack(content))
  elseif kind == 'list' then redis.call('RPUSH', key, unpack(content))
  else redis.call('SET', key, content) end
end
return 1
"""

EMPTY = b"[]"
KEPT_RUNS = 200_000
"""Runs whose results are kept: the same script on the same content at the same time."""


class Late(Exception):
    """The script refused the call: it came after the time until which it was valid."""


_Run = tuple[str, tuple[str | float, ...], int, int, int, bytes]
"""A script, its arguments, the time, when it was sent, until when it is valid, the image."""


class _Result(NamedTuple):
    """What a run answered, or why it failed, and the image that it left."""

    answer: Any
    failed: redis.ResponseError | None
    image: bytes


class Staged(Store):
    """A store whose every call starts from one image and leaves another.

    Args:
        url: A Redis that this may empty.
        planted: A part of the scripts' text, and what is put in its place.

    Attributes:
        image: What Redis held after the last call.
        now_ms: The time at which the next call runs.
        sent_ms: When the next call was sent.
        until_ms: Until when the next call is valid.
        calls: How many scripts have run.
        repeats: How many calls were answered from an earlier run: the script, its arguments,
            the times and the whole content were the same.
    """

    def __init__(self, url: str, planted: tuple[str, str] | None = None) -> None:
        self._planted = planted
        self.raw = redis.Redis.from_url(url, protocol=2)
        super().__init__(redis.Redis.from_url(url, protocol=2), prefix=PREFIX, clock=CLOCK)
        self.image = EMPTY
        self.now_ms = START_MS
        self.sent_ms = START_MS
        self.until_ms = START_MS
        self.calls = 0
        self.repeats = 0
        self._runs: dict[_Run, _Result] = {}
        self._loaded: set[str] = set()
        self._capture = self.raw.script_load(CAPTURE)
        self._restore = self.raw.script_load(RESTORE)

    def text(self, name: str) -> str:
        """Return the whole text of a script, with the planted bug if it holds that part."""
        # No clock steps here, and what is noted of time would distinguish states.
        text = super().text(name).replace("local WRITES = true", "local WRITES = false")
        return text if self._planted is None else text.replace(*self._planted)

    def run(self, name: str, *args: str | float, promised: bool = False) -> Any:  # noqa: ARG002  as its base
        """Put the image back, run the script, and keep what it leaves: one round trip."""
        run = (name, args, self.now_ms, self.sent_ms, self.until_ms, self.image)
        result = self._runs.get(run)
        if result is None:
            result = self._runs[run] = self._execute(name, args)
            if len(self._runs) > KEPT_RUNS:
                del self._runs[next(iter(self._runs))]
        else:
            self.repeats += 1
        self.image = result.image
        if result.failed is None:
            return result.answer
        if str(result.failed).startswith("LATE"):
            raise Late from result.failed
        raise result.failed

    def _execute(self, name: str, args: tuple[str | float, ...]) -> _Result:
        script = self._script(name)
        if script.sha not in self._loaded:
            self.raw.script_load(script.text)
            self._loaded.add(script.sha)
        times = self.sent_ms, self.sent_ms, self.until_ms
        connection = self.raw.connection_pool.get_connection()
        try:
            packed = connection.pack_commands(  # type: ignore[no-untyped-call]
                [
                    ("EVALSHA", self._restore, 0, self.now_ms, self.image),
                    ("EVALSHA", script.sha, 0, self.prefix, *args, *times),
                    ("EVALSHA", self._capture, 0, self.prefix),
                ]
            )
            connection.send_packed_command(packed)  # type: ignore[no-untyped-call]
            connection.read_response()  # type: ignore[no-untyped-call]
            answer: Any = None
            failed: redis.ResponseError | None = None
            try:
                answer = connection.read_response()  # type: ignore[no-untyped-call]
            except redis.ResponseError as error:
                failed = error
            image = connection.read_response()  # type: ignore[no-untyped-call]
        finally:
            self.raw.connection_pool.release(connection)
        self.calls += 1
        return _Result(_text(answer), failed, image)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value


@dataclass(frozen=True, slots=True)
class Content:
    """An image as Python reads it."""

    keys: dict[str, Any]

    @classmethod
    def read(cls, image: bytes) -> Content:
        """Read an image."""
        keys: dict[str, Any] = {}
        for key, kind, content in json.loads(image):
            name = key.removeprefix(PREFIX)
            if kind == "hash":
                keys[name] = dict(content)
            elif kind == "zset":
                keys[name] = dict(zip(content[::2], map(float, content[1::2]), strict=True))
            else:
                keys[name] = content
        return cls(keys)

    def hash(self, name: str) -> dict[str, str]:
        """Return a hash, empty if there is none."""
        found: dict[str, str] = self.keys.get(name, {})
        return found

    def zset(self, name: str) -> dict[str, float]:
        """Return a sorted set, empty if there is none."""
        found: dict[str, float] = self.keys.get(name, {})
        return found

    def names(self, start: str) -> Sequence[str]:
        """Return the keys that begin so."""
        return [name for name in self.keys if name.startswith(start)]
