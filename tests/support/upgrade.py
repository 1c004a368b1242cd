"""A Redis written by an earlier version, moved to the time of the test."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.support.world import KEYS
from worker import clock
from worker.simulator import Simulator
from worker.simulator.indodax.api import Indodax
from worker.store.embedded import EmbeddedRedis

FOLDER = Path(__file__).parents[1] / "data" / "b98e59d"
TTL = "upgrade:ttl"
UNACKED = "unacked_index"
"""Messages that were taken and not acknowledged, with the time of that as kombu notes it."""
VISIBILITY_S = 60
MAX_MS = 2**53
NEAR_MS = 30 * 86_400_000
"""A number this close to the time of the recording is a Unix time."""
TIME = re.compile(r"(?<![0-9A-Za-z.])\d{13}(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of the recording; see `tests/data/b98e59d/record.py`.

    Attributes:
        delta_ms: By how much its times were moved.
        open: Orders that are open at the exchanges.
        jobs: By name: id, alias, orders, state, attempts, outcome.
        switches: By name: id, epoch, alias, pairs, orders, state, deadline_ms, native.
        dead: Ids of the dead letters.
        nonce: Highest nonce of account `ix`: a day ahead of the time, as the exchange had
            seen such a one.
        timers: Of the exchanges: api_key, pair, fires_ms.
    """

    delta_ms: int
    open: list[dict[str, Any]]
    jobs: dict[str, dict[str, Any]]
    switches: dict[str, dict[str, Any]]
    dead: list[str]
    nonce: int
    timers: list[dict[str, Any]]

    def named(self, start: str) -> dict[str, dict[str, Any]]:
        """Return the jobs whose names begin so."""
        return {name: job for name, job in self.jobs.items() if name.startswith(start)}

    def named_switches(self, start: str) -> list[dict[str, Any]]:
        """Return the switches whose names begin so."""
        return [switch for name, switch in self.switches.items() if name.startswith(start)]

    def armed(self) -> dict[str, dict[str, Any]]:
        """Return the switches that are armed for minutes to come."""
        return {
            name: switch
            for name, switch in self.switches.items()
            if switch["state"] == "armed" and not name.startswith("short")
        }

    def place(self, simulator: Simulator) -> None:
        """Place the orders that are open, and set the exchanges' timers."""
        indodax = simulator._engine.exchanges["indodax"]  # noqa: SLF001  in its state then
        assert isinstance(indodax, Indodax)
        countdowns = indodax.countdowns
        for timer in self.timers:
            now_ms = clock.now_ms()
            left_ms = timer["fires_ms"] - now_ms
            countdowns.set(timer["api_key"], timer["pair"], left_ms, now_ms)
        for each in self.open:
            exchange, key = KEYS[each["alias"]][:2]
            where = {"pair": each["pair"], "side": each["side"]}
            simulator.place(exchange, key, order_ids=each["ids"], **where)


@contextmanager
def restored(
    folder: Path, moved: Callable[[dict[str, Any]], int]
) -> Iterator[tuple[EmbeddedRedis, Recorded]]:
    """Start a Redis on the recording, every time in it moved by what `moved` returns.

    Args:
        folder: Where the server keeps its data.
        moved: Takes `state.json`.
    """
    state = json.loads((FOLDER / "state.json").read_text())
    folder.mkdir()
    # As the first part of an append-only file a snapshot is read as it is.
    shutil.copy(FOLDER / "redis.rdb", folder / "appendonly.aof")
    with EmbeddedRedis(folder) as server:
        client = redis.Redis(port=server.port, decode_responses=True)
        assert client.exists(TTL), "the recording was not loaded"
        delta_ms = moved(state)
        shift = _shifter(state["recorded_ms"], delta_ms)
        _move(client, shift)
        client.close()
        switches = {
            name: {**switch, "deadline_ms": switch["deadline_ms"] + delta_ms}
            for name, switch in state["switches"].items()
        }
        known = {name: state[name] for name in ("open", "jobs", "dead")}
        timers = [{**timer, "fires_ms": timer["fires_ms"] + delta_ms} for timer in state["timers"]]
        yield (
            server,
            Recorded(
                delta_ms=delta_ms,
                switches=switches,
                nonce=state["nonce"] + delta_ms,
                timers=timers,
                **known,
            ),
        )


def as_of_now(state: dict[str, Any]) -> int:
    """Move the recording so that it was made just now."""
    return clock.now_ms() - int(state["recorded_ms"])


def made_ago(ms: int) -> Callable[[dict[str, Any]], int]:
    """Move the recording so that it was made so long ago: the workers of then are gone."""
    return lambda state: as_of_now(state) - ms


def before_deadline(name: str, left_ms: int) -> Callable[[dict[str, Any]], int]:
    """Move the recording so that a switch has so long left."""

    def moved(state: dict[str, Any]) -> int:
        return clock.now_ms() + left_ms - int(state["switches"][name]["deadline_ms"])

    return moved


def old_calls(delta_ms: int) -> list[tuple[str, str, str, list[str]]]:
    """Return the script calls of an old producer: label, name and text of script, arguments."""
    state = json.loads((FOLDER / "state.json").read_text())
    shift = _shifter(state["recorded_ms"], delta_ms)
    calls = json.loads((FOLDER / "calls.json").read_text())
    return [
        (
            call["label"],
            call["scripts"][-1],
            _script(call["scripts"]),
            ["cx:", *map(shift, call["args"])],
        )
        for call in calls
    ]


def old_switch_call(
    client: redis.Redis, name: str, switch: Mapping[str, Any], *more: str
) -> list[Any]:
    """Beat, track, untrack or disarm as the holder of a switch does who runs the old version."""
    exchange = KEYS[switch["alias"]][0]
    if name in ("track", "untrack"):
        script, after = "track", [name, *more]
    else:
        script = name
        after = [exchange, "a bell", *(["0", "", "0"] if name == "disarm" else [])]
    args = ["cx:", switch["id"], str(switch["epoch"]), *after]
    answer: Any = client.eval(_script(["now", "lanes", "switches", script]), 0, *args)
    return list(answer)


def _script(names: Sequence[str]) -> str:
    return "\n".join((FOLDER / "lua" / f"{name}.lua").read_text() for name in names)


def _shifter(recorded_ms: int, delta_ms: int) -> Callable[[str], str]:
    def moved(match: re.Match[str]) -> str:
        value = int(match[0])
        return str(value + delta_ms) if abs(value - recorded_ms) < NEAR_MS else match[0]

    return lambda text: TIME.sub(moved, text)


def _move(client: redis.Redis, shift: Callable[[str], str]) -> None:
    """Rewrite every value, and give the keys their expiries back."""
    left: Any = client.hgetall(TTL)
    client.delete(TTL)
    keys: Any = client.keys("*")
    for key in keys:
        _MOVES[client.type(key)](client, key, shift)
        if key in left:
            client.pexpire(key, int(left[key]))


def _move_text(client: Any, key: str, shift: Callable[[str], str]) -> None:
    client.set(key, shift(client.get(key)))


def _move_hash(client: Any, key: str, shift: Callable[[str], str]) -> None:
    client.hset(key, mapping={name: shift(value) for name, value in client.hgetall(key).items()})


def _move_list(client: Any, key: str, shift: Callable[[str], str]) -> None:
    for at, value in enumerate(client.lrange(key, 0, -1)):
        client.lset(key, at, shift(value))


def _move_zset(client: Any, key: str, shift: Callable[[str], str]) -> None:
    for member, score in client.zrange(key, 0, -1, withscores=True):
        if key == UNACKED:  # in seconds, and from when a worker is given up
            moved = float(shift(f"{score * 1_000:.0f}")) / 1_000 - VISIBILITY_S
        else:
            moved = float(shift(f"{score:.0f}")) if abs(score) < MAX_MS else score
        client.zadd(key, {member: moved})


def _keep(client: Any, key: str, shift: Callable[[str], str]) -> None:
    pass


_MOVES: dict[Any, Callable[[Any, str, Callable[[str], str]], None]] = {
    "string": _move_text,
    "hash": _move_hash,
    "list": _move_list,
    "zset": _move_zset,
    "set": _keep,
}
