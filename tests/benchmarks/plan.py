"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run: jobs, unless the name says another unit.

    Attributes:
        probe: By which a system's own maximum is found.
        counted: Of which Redis's commands are watched one by one.
        rates: Cancels a second, the same for all systems.
        shares: Of the most that a system can do, one by one.
        keeps_up: Part of its maximum up to which a system is expected to keep up with a rate.
        paced: At a rate, at most.
        expiring: Outcomes that expire together.
    """

    rounds: int = 3
    rates: tuple[int, ...] = (20, 100, 500, 1_000, 2_000)
    shares: tuple[float, ...] = (0.5, 0.8)
    keeps_up: float = 0.9
    paced_s: float = 4.0
    paced: int = 4_000
    probe: int = 100
    drain: int = 3_000
    large_drain: int = 30_000
    counted: int = 300
    idle_ms: int = 10_000
    delay_ms: int = 50
    delayed_s: float = 3.0
    concurrencies: tuple[int, ...] = (2, 16, 64)
    backlogs: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    accounts: tuple[int, ...] = (1, 10, 100)
    expiring: int = 20_000
    stalled: int = 10_000
    killed: int = 400
    kill_bound_ms: int = 60_000


FULL = Plan()
QUICK = Plan(
    rounds=1,
    rates=(20, 100),
    shares=(0.5,),
    paced_s=1.5,
    paced=2_000,
    drain=600,
    large_drain=3_000,
    counted=100,
    idle_ms=4_000,
    delayed_s=1.5,
    concurrencies=(16,),
    backlogs=(1_000, 10_000),
    accounts=(1, 10),
    expiring=3_000,
    stalled=2_000,
    kill_bound_ms=15_000,
)
