"""What 1,000 and 10,000 switches cost that five exchanges share on one worker.

Each is held by its exchange's timer as far as that exchange's budget of requests allows, and else
by workers, for the reason that is shown. The cost of one switch must not grow with their number.
Times are wall-clock, and Redis's are of the worker's scripts too: run it on a machine that does
nothing else.

Run: `uv run python -m tests.benchmarks.venue_switches`
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from itertools import islice

from tests.benchmarks.switches import BEATS, beats, cpu_ms, memory, sweep
from tests.support.polling import eventually
from tests.support.world import ALL_KEYS, World, open_world
from worker import Producer, Switch, clock

PAIRS = {
    "ix": "p{}_idr",
    "bu": "P{}USDT",
    "ga": "P{}_USDT",
    "ku": "P{}-USDT",
    "ok": "P{}-USDT",
}
"""By alias, how its pairs are written."""
COUNTS = (1_000, 10_000)
TIMEOUT_MS = 1_800_000
AGAIN = 500
"""Switches that are armed again once all timers are set: workers then have nothing to do."""
SETTLED_MS = 600_000
"""Within this time the timers that the exchanges hold are set: within their limits."""


def main() -> None:
    """Measure and print."""
    with open_world() as world:
        world.aliases = tuple(PAIRS)
        world.top = {"redis_timeout_ms": 10_000}
        each = COUNTS[-1] // len(PAIRS)
        listed = [form.format(n) for form in PAIRS.values() for n in range(each)]
        world.sim.set_option("more_pairs", tuple(listed))
        worker = world.worker()
        assert worker.process is not None
        producer = world.producer()
        held: list[Switch] = []
        for count in COUNTS:
            before, script, took = memory(world), script_us(world), []
            for alias, pair in islice(scopes(each), len(held), count):
                at = clock.monotonic_ms()
                held.append(armed(producer, alias, pair))
                took.append(clock.monotonic_ms() - at)
            size = (memory(world) - before) / len(took)
            script = (script_us(world) - script) / len(took)
            cpu, were = cpu_ms(worker.process.pid), len(world.sim.timers())
            timers = settled(world, held)
            spent = (cpu_ms(worker.process.pid) - cpu) / max(1, timers - were)
            again = script_us(world)
            for n, (alias, pair) in enumerate(islice(scopes(each), AGAIN)):
                held[n] = armed(producer, alias, pair)
            again = (script_us(world) - again) / AGAIN
            beaten = script_us(world)
            median, p99, rate = beats(held)
            beaten = (script_us(world) - beaten) / BEATS
            commands, share = sweep(world, worker.process.pid)
            figures = (
                f"{count} switches of {len(PAIRS)} exchanges",
                f"arm median {statistics.median(took):.2f} ms, {script:.0f} us of Redis in all",
                f"armed again {again:.0f} us of Redis",
                f"beat median {median:.2f} ms, p99 {p99:.2f}, {beaten:.0f} us of Redis; {rate}/s",
                f"{size:.0f} bytes of Redis a switch",
                f"{timers} timers at the exchanges, {spent:.1f} ms of worker CPU for each new one",
                f"then {share:.2f} % of a core and {commands:.0f} Redis commands/s",
            )
            sys.stdout.write("; ".join(figures) + "\n")
            show(held)


def scopes(each: int) -> list[tuple[str, str]]:
    """Return what is armed, the exchanges in turn."""
    return [(alias, form.format(n)) for n in range(each) for alias, form in PAIRS.items()]


def armed(producer: Producer, alias: str, pair: str) -> Switch:
    """Arm a switch of one pair."""
    return producer.arm(alias, pairs=[pair], timeout_ms=TIMEOUT_MS)


def settled(world: World, held: list[Switch]) -> int:
    """Wait until each timer that an exchange is to hold is set; return how many there are."""
    wanted = sum(switch.held in ("exchange", "both") for switch in held)
    eventually(
        lambda: len(world.sim.timers()) >= wanted,
        within_ms=SETTLED_MS,
        pause_ms=500,
        what=f"{wanted} timers are set",
    )
    return len(world.sim.timers())


def script_us(world: World) -> float:
    """Return the time that Redis has spent in scripts, in microseconds."""
    stats: dict[str, dict[str, float]] = world.store().client.info("commandstats")  # type: ignore[assignment]
    return stats["cmdstat_evalsha"]["usec"]


def show(held: list[Switch]) -> None:
    """Print by whom the switches of each exchange are held, and why."""
    counts = Counter((switch.account, switch.held, switch.held_why) for switch in held)
    for (alias, holder, why), count in sorted(counts.items()):
        name = ALL_KEYS[alias][0]
        sys.stdout.write(f"  {name:>12}: {count:>5} by {holder}: {why}\n")


if __name__ == "__main__":
    main()
