"""What an idle worker costs Redis, and how soon its sweep finds a job without a bell.

Run: `uv run python -m tests.benchmarks.idle`
"""

from __future__ import annotations

import statistics
import sys

from tests.support.polling import eventually
from tests.support.world import World, open_world
from worker import clock
from worker.model.jobs import Kind, NewJob
from worker.model.names import lane_of
from worker.model.settlements import new_id

IDLE_MS = 20_000
TRIALS = 100


def main() -> None:
    """Measure and print."""
    with open_world() as world:
        world.worker()
        rate = commands_per_s(world)
        found = sorted(found_ms(world) for _ in range(TRIALS))
    sys.stdout.write(
        f"idle worker: {rate:.1f} Redis commands/s (over {IDLE_MS / 1_000:g} s)\n"
        f"due to arrival at the exchange, no bell, {TRIALS} jobs: "
        f"median {statistics.median(found):.0f} ms, p99 {found[-2]:.0f} ms, "
        f"max {found[-1]:.0f} ms\n"
    )


def commands_per_s(world: World) -> float:
    """Return what Redis counts while nothing is to be done."""
    client = world.store().client

    def processed() -> int:
        stats: dict[str, int] = client.info("stats")  # type: ignore[assignment]
        return stats["total_commands_processed"]

    before, begun_ms = processed(), clock.monotonic_ms()
    clock.sleep_ms(IDLE_MS)
    return (processed() - before - 1) / (clock.monotonic_ms() - begun_ms) * 1_000


def found_ms(world: World) -> float:
    """Return the time from a job's acceptance, unrung, to its request's arrival."""
    (order_id,) = world.place("ev")
    job = NewJob(id=new_id(), lane=lane_of("everstrike", "ev"), kind=Kind.CANCEL, order_id=order_id)
    seen = len(world.sim.journal())
    begun_ms = clock.now_ms()
    world.ledger().accept([job])
    arrival = eventually(lambda: world.sim.journal()[seen:], pause_ms=1)[0]
    return arrival.at_ms - begun_ms


if __name__ == "__main__":
    main()
