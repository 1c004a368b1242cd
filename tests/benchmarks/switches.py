"""What armed switches cost: beats, the workers' sweep, memory; from 100 to 10,000.

Run: `uv run python -m tests.benchmarks.switches`
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from tests.support.world import World, open_world
from worker import Producer, Switch, clock

COUNTS = (100, 1_000, 10_000)
BEATS = 2_000
WATCH_MS = 10_000
TIMEOUT_MS = 600_000


def main() -> None:
    """Measure and print."""
    with open_world() as world:
        worker = world.worker()
        assert worker.process is not None
        producer = world.producer()
        held: list[Switch] = []
        for count in COUNTS:
            before = memory(world)
            added = count - len(held)
            arm(producer, held, count)
            each = (memory(world) - before) / added
            median, p99, left = beats(held)
            rate, cpu = sweep(world, worker.process.pid)
            sys.stdout.write(
                f"{count:>6} armed: beat median {median:.2f} ms, p99 {p99:.2f} ms; "
                f"one thread makes {left} beats/s; {each:.0f} bytes of Redis a switch; "
                f"at rest the worker uses {cpu:.2f} % of a core and {rate:.0f} Redis "
                f"commands/s\n"
            )


def arm(producer: Producer, held: list[Switch], count: int) -> None:
    """Arm up to so many switches on the emulated account."""
    held += [
        producer.arm("ev", pairs=[f"p{n}_idr"], timeout_ms=TIMEOUT_MS)
        for n in range(len(held), count)
    ]


def beats(held: list[Switch]) -> tuple[float, float, int]:
    """Return the median and p99 of a beat in ms, and how many a second one thread makes."""
    took = []
    begun = clock.monotonic_ms()
    for n in range(BEATS):
        at = clock.monotonic_ms()
        held[n * 7919 % len(held)].beat()
        took.append(clock.monotonic_ms() - at)
    took.sort()
    rate = round(BEATS / (clock.monotonic_ms() - begun) * 1_000)
    return statistics.median(took), took[-BEATS // 100], rate


def sweep(world: World, pid: int) -> tuple[float, float]:
    """Return Redis's commands a second and the worker's CPU in % while nothing is due."""
    client = world.store().client

    def commands() -> int:
        stats: dict[str, int] = client.info("stats")  # type: ignore[assignment]
        return stats["total_commands_processed"]

    count, cpu, begun = commands(), cpu_ms(pid), clock.monotonic_ms()
    clock.sleep_ms(WATCH_MS)
    over = clock.monotonic_ms() - begun
    return (commands() - count) / over * 1_000, (cpu_ms(pid) - cpu) / over * 100


def cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has used, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10.0


def memory(world: World) -> int:
    """Return the bytes that Redis uses."""
    info: dict[str, int] = world.store().client.info("memory")  # type: ignore[assignment]
    return info["used_memory"]


if __name__ == "__main__":
    main()
