"""What an attempt at Binance costs beside one at Everstrike: CPU time of its thread.

An attempt is all that a worker does from a claimed job to its settlement: rate slot, nonce,
signature, request, reply, decision. Each proves a cancel by one request. The simulated
exchanges answer from other threads, which are not counted.

Run: `uv run python -m tests.benchmarks.attempts`
"""

from __future__ import annotations

import statistics
import sys
import time

from tests.support.attempts import Attempts
from tests.support.world import ALL_KEYS, World, open_world
from worker.model.decisions import Done

ALIASES = ("ev", "bn", "bu")
"""The first is what the others are compared with."""
WARM, ROUNDS = 50, 1_000
LIMIT = 1.2
ROOMY = {"max_requests": 1_000_000, "window_ms": 1_000}


def main() -> None:
    """Measure, print, and exit with 1 if an attempt costs too much."""
    with open_world() as world:
        world.aliases = ALIASES
        world.limits = {alias: {"weight": ROOMY} for alias in ALIASES[1:]}
        medians = {alias: statistics.median(each) for alias, each in measured(world).items()}
    base = medians[ALIASES[0]]
    for alias, median in medians.items():
        sys.stdout.write(
            f"{ALL_KEYS[alias][0]:>12}: {median / 1_000:.0f} us of CPU an attempt, "
            f"{median / base:.2f} x {ALL_KEYS[ALIASES[0]][0]}\n"
        )
    sys.exit(max(medians.values()) > LIMIT * base)


def measured(world: World) -> dict[str, list[int]]:
    """Return by alias what each attempt cost, in ns; the exchanges take turns."""
    attempts = Attempts(world)
    took: dict[str, list[int]] = {alias: [] for alias in ALIASES}
    for n in range(WARM + ROUNDS):
        for alias in ALIASES:
            (order,) = world.place(alias)
            attempts.accept(alias, order)
            job = attempts.claim(alias)
            assert job is not None
            now_ms = attempts.ledger.now_ms()
            begun = time.thread_time_ns()
            settlement = attempts.pipeline.attempt(job, now_ms=now_ms)
            cost = time.thread_time_ns() - begun
            assert isinstance(settlement.decision, Done), settlement
            if n >= WARM:
                took[alias].append(cost)
    return took


if __name__ == "__main__":
    main()
