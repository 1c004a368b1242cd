"""How long 1,000 concurrent cancels and waits keep an event loop from its other tasks.

Run: `uv run python -m tests.benchmarks.event_loop`

Redis, the exchange and the worker are other processes. A ticker sleeps for 1 ms at a time; its
delay is what it oversleeps. It is also measured with nothing else to do, for comparison, and
with a Redis that is frozen: then all must raise within a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from tests.support.world import World, open_world
from worker import AsyncProducer, StoreUnavailable, clock

COUNT = 1_000
TICK_MS = 1
IDLE_S = 2
P99_MAX_MS = 10
DELAY_MAX_MS = 50


def main() -> None:
    """Measure and print; with an argument, measure in this process and print JSON."""
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(asyncio.run(measure(json.loads(sys.argv[1])))) + "\n")
        return
    with open_world() as world:
        world.worker()
        pid = world.store().client.info("server")["process_id"]  # type: ignore[index]
        show("idle", in_child(world, []))
        show("cancels and waits", in_child(world, world.place("ev", COUNT)))
        show("with Redis frozen", in_child(world, world.place("ev", COUNT), frozen=pid))


def in_child(world: World, orders: list[str], *, frozen: int = 0) -> dict[str, Any]:
    """Measure in a process that has only the strategy in it."""
    told = json.dumps({"orders": orders, "frozen": frozen})
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.event_loop", told],
        env={**os.environ, "WORKER_CONFIG": str(world.config())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def show(name: str, measured: dict[str, Any]) -> None:
    """Print one line."""
    p99, most = measured["p99_ms"], measured["max_ms"]
    holds = p99 <= P99_MAX_MS and most <= DELAY_MAX_MS
    sys.stdout.write(
        f"{name:20} ticker's delay p99 {p99:.1f} ms (≤ {P99_MAX_MS}), max {most:.1f} ms "
        f"(≤ {DELAY_MAX_MS}): {'holds' if holds else 'FAILS'}; {measured['ticks']} ticks, "
        f"{measured['took_ms']:.0f} ms, {measured['outcomes']}\n"
    )


async def measure(told: dict[str, Any]) -> dict[str, Any]:
    """Cancel and wait for all orders at once, beside a ticker."""
    delays: list[float] = []
    outcomes: Counter[str] = Counter()

    async def tick() -> None:
        while True:
            before = clock.monotonic_ms()
            await asyncio.sleep(TICK_MS / 1_000)
            delays.append(clock.monotonic_ms() - before - TICK_MS)

    async def cancel(producer: AsyncProducer, order_id: str) -> None:
        try:
            ticket = await producer.cancel("ev", order_id)
            outcomes[str((await ticket).outcome)] += 1
        except StoreUnavailable:
            outcomes["StoreUnavailable"] += 1

    async with AsyncProducer() as producer:
        await producer.switches(limit=1)
        ticker = asyncio.create_task(tick())
        await asyncio.sleep(0)
        began = clock.monotonic_ms()
        calls: list[Coroutine[Any, Any, Any]] = [
            cancel(producer, order_id) for order_id in told["orders"]
        ] or [asyncio.sleep(IDLE_S)]
        if told["frozen"]:
            os.kill(told["frozen"], signal.SIGSTOP)
        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(call)
            took_ms = clock.monotonic_ms() - began
        finally:
            if told["frozen"]:
                os.kill(told["frozen"], signal.SIGCONT)
        ticker.cancel()
    delays.sort()
    return {
        "p99_ms": delays[len(delays) * 99 // 100],
        "max_ms": delays[-1],
        "ticks": len(delays),
        "took_ms": took_ms,
        "outcomes": outcomes,
    }


if __name__ == "__main__":
    main()
