"""Any arguments to any Lua script, on a real Redis.

A script may refuse; it may not write outside its prefix, run long, or end the
server. What comes through the program's own classes, with any text in it,
may not even be refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import redis

from tests.fuzz.target import Target
from worker.errors import StoreUnavailable
from worker.model.decisions import Again
from worker.model.jobs import Kind, NewJob, Phase
from worker.model.limits import Rule
from worker.model.outcomes import Outcome
from worker.model.settlements import Settlement
from worker.store import connection
from worker.store.connection import Store, connect
from worker.store.embedded import EmbeddedRedis
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.switches import Switches

PREFIX = "fz:"
OWN_PREFIX = "own-7c1f:"
"""Of the program's own classes: what reckless scripts wrote is not theirs to read."""
BELL = ("fz:bell", "ding")
TIDY_EVERY = 2_000
"""Inputs after which the keys are looked at and swept away."""
RAW = sorted(path.stem for path in (Path(connection.__file__).parent / "lua").glob("*.lua"))
PARTS = ("ev", "indodax:ix", "j1", "cancel", "a1", "btc_idr", "buy", "1", "0", "1000", "w1")
CORPUS: tuple[Any, ...] = (
    list(PARTS),
    ["s1", "indodax:ix", "ix", "1", "5000", "arm", "0", "fz:q", "ding", "1", "btc_idr", "a1"],
    ["digest", "indodax", "indodax:ix", "", "w1", "1000", "1"],
    ["k", "1783000000000", "0", "9" * 18],
    ["m", "100", "1", "rule", "10", "1000", "paced"],
    ["m", "100", "1", "few", "5", "60000", "proven"],
    [0, 1, 2**40, -1, 1.5, "", " ", "x" * 200],
)
WORDS = (
    *(b"touch", b"arm", b"track", b"untrack", b"done", b"again", b"wait", b"dead", b"found"),
    *(b"paced", b"proven"),
    *(b"inf", b"-inf", b"nan", b"1e308", b"\\u0000", b"*", b":switch", b"%s", b"fz:", b"|", b","),
)


class Reckless:
    """Redis, and the two ways into it: raw scripts, and the program's own classes."""

    def __init__(self, url: str) -> None:
        self.client: redis.Redis = connect(url, timeout_ms=5_000)
        self.store = Store(self.client, prefix=PREFIX)
        own = Store(self.client, prefix=OWN_PREFIX)
        self.ledger, self.switches = Ledger(own, digest="d"), Switches(own)
        self.limiter, self.nonces = Limiter(own), Nonces(own)
        self.ways: list[Callable[[list[Any]], object]] = [
            *(partial(self._raw, name) for name in RAW),
            *(self._accept, self._arm, self._beat, self._claim, self._bury, self._reserve),
            *(self._nonce, self._track, self._disarm),
        ]
        self.count = 0

    def check(self, data: bytes) -> None:
        """Run one script with these arguments."""
        try:
            args = json.loads(data[1:])
        except (ValueError, RecursionError):
            args = [data[1:].decode("latin-1")]
        if not isinstance(args, list):
            args = [args]
        flat = [arg if isinstance(arg, str | int | float) else str(arg) for arg in args]
        self.ways[(data[0] if data else 0) % len(self.ways)](flat)
        self.count += 1
        if self.count % TIDY_EVERY == 0:
            self.tidy()

    def tidy(self) -> None:
        """Look at every key that was written, and sweep them away."""
        assert self.client.ping()
        keys: Any = self.client.keys("*")
        # The broker's queues have names of their own: what an argument named.
        strays = [key for key in keys if not key.startswith((PREFIX, OWN_PREFIX))]
        assert all(self.client.type(key) == "list" for key in strays), strays
        self.client.flushdb()

    def _raw(self, name: str, args: list[Any]) -> None:
        if name == "nonce":
            args = args[:2]  # the fourth is a number of digits that only our own code gives
        try:
            self.store.run(name, *args)
        except StoreUnavailable as error:
            assert str(error).startswith("Redis refused"), error  # noqa: PT017  it may refuse

    def _accept(self, args: list[Any]) -> None:
        one, two, three, four, five = _texts(args, 5)
        job = NewJob(
            one, f"{two}:{three}", Kind.CANCEL, four, five, three, one, urgent=len(one) > 2
        )
        (accepted,) = self.ledger.accept([job], [BELL])
        assert accepted.id.startswith(one.encode(errors="replace").decode()) or not accepted.fresh

    def _claim(self, args: list[Any]) -> None:
        one, two = _texts(args, 2)
        claimed = self.ledger.claim(exchange=one, holder=two, lease_ms=1_000, lane=f"{one}:{two}")
        for job in claimed.jobs:
            again = Again(Phase.ASK, 1, Outcome.UNKNOWN, two)
            self.ledger.settle(
                [Settlement(job, again)],
                holder=two,
                retention_ms=1_000,
                lease_ms=1_000,
                limit=1,
            )

    def _arm(self, args: list[Any]) -> None:
        one, two, three = _texts(args, 3)
        scope = [text for text in map(str, args[3:]) if text and "," not in text]
        armed = self.switches.arm(
            switch_id=one,
            lane=f"{two}:{three}",
            account=three,
            native=len(one) % 2 == 0,
            pairs=scope[::2] or ["p"],
            order_ids=scope[1::2],
            timeout_ms=1 + len(args) * 100,
            bell=BELL,
            mode="touch" if len(two) % 2 == 0 else "again",
            sent_ms=_whole(args),
        )
        if armed.switch_id:
            self.switches.get(armed.switch_id)
            self.switches.survey(f"{two}:{three}")

    def _beat(self, args: list[Any]) -> None:
        (one,) = _texts(args, 1)
        self.switches.beat(one, _whole(args), BELL)

    def _disarm(self, args: list[Any]) -> None:
        (one,) = _texts(args, 1)
        self.switches.disarm(one, 0, BELL)
        pairs = [text for text in map(str, args[1:]) if text and "," not in text] or ["p"]
        again = len(one) % 2 == 0
        self.switches.disarm_pairs(one, pairs, BELL, sent_ms=_whole(args), message=one, again=again)

    def _track(self, args: list[Any]) -> None:
        one, *rest = _texts(args, 4)
        self.switches.track(one, 0, rest, add=len(one) % 2 == 0)

    def _bury(self, args: list[Any]) -> None:
        reason, raw = _texts(args, 2)
        job = self.ledger.get(self.ledger.bury(reason=reason, raw=raw))
        assert job is not None
        assert job.detail == reason.encode(errors="replace").decode()

    def _reserve(self, args: list[Any]) -> None:
        (one,) = _texts(args, 1)
        rule = Rule(one, 1 + len(args), 1_000, paced=len(one) % 2 == 0, proven=len(one) % 3 == 0)
        self.limiter.landed(self.limiter.reserve([rule], flight_ms=100, urgent=len(args) % 2 == 0))

    def _nonce(self, args: list[Any]) -> None:
        (one,) = _texts(args, 1)
        key = one.encode(errors="replace").decode()
        first = self.nonces.allocate(key)
        self.nonces.raise_above(key, _whole(args) % 10**18)
        assert self.nonces.allocate(key) > first


def _texts(args: list[Any], count: int) -> list[str]:
    return [str(arg) for arg in islice(cycle(args or [""]), count)]


def _whole(args: list[Any]) -> int:
    return next((arg for arg in args if type(arg) is int), 0)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, on a Redis of its own."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder) / "redis") as server:
        reckless = Reckless(server.url)
        corpus = [
            bytes([way]) + json.dumps(example).encode()
            for way in range(len(reckless.ways))
            for example in CORPUS
        ]
        yield Target(reckless.check, corpus, WORDS, head=1, finish=reckless.tidy)
