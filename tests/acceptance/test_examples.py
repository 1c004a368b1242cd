"""The example strategies as processes on the simulated exchanges."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import World

EXAMPLES = Path(__file__).parents[2] / "ops" / "examples"
PAIR = "btc_idr"


class Strategy:
    """One example as a process, with a feed and its output."""

    def __init__(self, world: World, name: str, *arguments: str, **more: str) -> None:
        self._out = world.folder / f"{name}-{id(self)}.out"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, EXAMPLES / f"{name}.py", *arguments],
                env={**os.environ, "WORKER_CONFIG": str(world.config()), **more},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                text=True,
            )

    def hears(self, line: str) -> None:
        """Give it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def says(self, text: str) -> None:
        """Wait until it has printed something."""
        eventually(
            lambda: text in self._out.read_text(), within_ms=30_000, what=f"it says {text!r}"
        )

    def ends(self) -> int:
        """End its feed; return its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)


@pytest.fixture
def started() -> Iterator[list[Strategy]]:
    """What a test has started; none outlives it."""
    strategies: list[Strategy] = []
    yield strategies
    for strategy in strategies:
        strategy.process.kill()
        strategy.process.wait()
        if strategy.process.stdin:
            strategy.process.stdin.close()


def test_examples_run(world: World, started: list[Strategy]) -> None:
    """Each cancels its orders and leaves none open; those of a killed one are canceled."""
    world.worker()
    ev, bm = Strategy(world, "everstrike", "ev"), Strategy(world, "bitmart", "bm")
    ix = Strategy(world, "indodax", "ix", PAIR, "eth_idr")
    started += [ev, bm, ix]
    first, second = world.place("ev", 2)
    for quote in (first, second):
        ev.hears(f"placed {quote}")
    ev.says(f"{first} CANCELED")

    basket = world.place("bm", 2)
    world.sim.fill("bitmart", basket[0])
    bm.hears(f"basket {' '.join(basket)}")

    ix.says("armed")
    (stopped,) = world.place("ix", pair=PAIR)
    (resting,) = world.place("ix", pair="eth_idr")
    ix.hears(f"stop {PAIR}")
    ix.says(f"{PAIR} CANCELED")
    assert world.status("ix", stopped) == "canceled"
    assert world.status("ix", resting) == "open"

    assert (ev.ends(), bm.ends(), ix.ends()) == (0, 0, 0)
    ev.says(f"{second} CANCELED")
    bm.says(f"{basket[0]} GONE look for fills")
    bm.says(f"{basket[1]} CANCELED")
    assert world.status("ix", resting) == "canceled"
    assert {record.state for record in world.producer().switches()} == {"disarmed"}
    silence(world, started)


def silence(world: World, started: list[Strategy]) -> None:
    """Kill each in the middle of its work: its orders are off the book in time."""
    orders = {alias: world.place(alias, pair=PAIR)[0] for alias in ("ev", "bm", "ix")}
    killed = {
        "ev": Strategy(world, "everstrike", "ev"),
        "bm": Strategy(world, "bitmart", "bm"),
        "ix": Strategy(world, "indodax", "ix", PAIR, GRID_TIMEOUT_MS="4000"),
    }
    started += killed.values()
    killed["ev"].hears(f"placed {orders['ev']}")
    killed["bm"].hears(f"basket {orders['bm']}")
    producer = world.producer()

    def armed() -> bool:
        return sum(record.state == "armed" for record in producer.switches()) == len(killed)

    eventually(armed, within_ms=30_000, what="three switches armed")
    for strategy in killed.values():
        strategy.process.kill()

    def off_the_book() -> bool:
        return {world.status(*order) for order in orders.items()} == {"canceled"}

    eventually(off_the_book, within_ms=30_000, what="the killed strategies' orders are off")
