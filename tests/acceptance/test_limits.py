"""The exchange's limits and nonces, counted at the exchange, under load and kills."""

from __future__ import annotations

import bisect
import random
import threading

import pytest

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import Outcome, clock

WINDOW_MS = 10_000
MAX = 10
LATE_MS = 500
"""From a free slot until the urgent request that waits for it: the reply of the request before,
which says that it has arrived, the way, and a worker that comes back for its slot."""


def most_in_a_window(at_ms: list[float]) -> int:
    """Return the most arrivals in any window of 10 s, as the exchange counts."""
    return max(n + 1 - bisect.bisect_right(at_ms, at - WINDOW_MS) for n, at in enumerate(at_ms))


def free_ms(at_ms: list[float], asked_ms: float) -> float:
    """Return when the exchange takes a second request of two that are asked for at once.

    A stop goes before a new timer and takes a slot of its own. So the new timer goes once the
    window holds all but two of what had arrived, or was on its way, when it was asked for.
    """
    earlier = sorted(at for at in at_ms if at < asked_ms + 100)
    return max(asked_ms, earlier[1 - MAX] + WINDOW_MS if len(earlier) >= MAX - 1 else 0)


@pytest.mark.timeout(200)
def test_countdown_requests_stay_within_ten_in_ten_seconds(world: World, rounds: int) -> None:
    """Beyond the limit, workers hold the other deadlines, and no switch trips."""
    switches, over_ms, workers = (60, 24_000, 2) if rounds <= 3 else (400, 60_000, 4)
    for _ in range(workers):
        world.worker()
    world.sim.set_option("delay_ms", 120)
    world.sim.set_faults({"delay": 0.5}, exchange="indodax")
    producer = world.producer()
    rng = random.Random(5)
    pairs = [f"p{n}_idr" for n in range(switches)]
    held = [
        producer.arm("ix", pairs=[pair], timeout_ms=rng.randrange(10_000, 24_000)) for pair in pairs
    ]
    pair_of = dict(zip(held, pairs, strict=True))
    assert {switch.held for switch in held} == {"exchange", "workers"}
    begun, first = clock.monotonic_ms(), clock.now_ms()
    urgent: list[tuple[float, str, str]] = []
    while clock.monotonic_ms() - begun < over_ms:
        for switch in rng.sample(held, 5):
            switch.beat()
        # Once the burst of the first arms, urgent all of them, has been processed.
        if len(urgent) < (clock.monotonic_ms() - begun - over_ms / 2) / 3_000:
            pair = f"u{len(urgent)}_idr"
            # What it takes of the limit is free for the next, once its timer is stopped.
            ended = next(switch for switch in held if switch.held == "exchange")
            held.remove(ended)
            ended.disarm()
            urgent.append((clock.now_ms(), pair_of[ended], pair))
            producer.arm("ix", pairs=[pair], timeout_ms=60_000)
        clock.sleep_ms(20)
    journal = [a for a in world.sim.journal() if a.operation == "countdown"]
    at_ms = [a.at_ms for a in journal]
    assert not [a for a in journal if a.refusal]
    assert most_in_a_window(at_ms) <= MAX
    used = sum(at > first + WINDOW_MS for at in at_ms) / ((over_ms - WINDOW_MS) / WINDOW_MS * MAX)
    waits, late = [], []
    for asked, stopped, pair in urgent[:-1]:
        others = [a.at_ms for a in journal if stopped not in a.pairs or a.at_ms < asked]
        arrived = min((a.at_ms for a in journal if pair in a.pairs), default=float("inf"))
        waits.append(arrived - asked)
        late.append(arrived - free_ms(others, asked))
    print(f"most in 10 s: {most_in_a_window(at_ms)}, used {used:.1%}, urgent {waits} {late}")  # noqa: T201
    # A part of the limit is kept free of renewals, and close deadlines share requests.
    assert used > 0.6, used
    assert max(late) < LATE_MS, (late, waits)
    # In a full window slots come free a step apart, and the stop takes the first.
    assert max(waits) < 2 * WINDOW_MS / MAX + LATE_MS, waits


@pytest.mark.timeout(300)
def test_nonces_are_neither_refused_nor_repeated(world: World, rounds: int) -> None:
    """Several workers use one key, with jitter and kills: nonces rise at the exchange."""
    world.tables = {"jobs": {"lease_ms": 2_000}, "http": {"deadline_ms": 1_000}}
    requests, workers = (300, 2) if rounds <= 3 else (2_000, 4)
    world.sim.set_option("delay_ms", 40)
    world.sim.set_faults({"delay": 0.2}, exchange="indodax")
    running = [world.worker() for _ in range(workers)]
    producer = world.producer()
    ids = world.place("ix", requests)
    tickets = producer.cancel_many("ix", ids, pair="btc_idr", side="buy")

    def kill() -> None:
        running[0].kill()
        world.worker(wait=False)

    killer = threading.Timer(1.0, kill)
    killer.start()
    killer.join()
    eventually(
        lambda: all(ticket.result().outcome is Outcome.CANCELED for ticket in tickets),
        within_ms=200_000,
        pause_ms=500,
    )
    journal = [a for a in world.sim.journal() if a.api_key == KEYS["ix"][1]]
    nonces = [a.nonce for a in journal if a.nonce is not None]
    assert not [a for a in journal if a.refusal == "nonce"]
    assert not [a for a in journal if a.refusal == "rate"]
    assert len(nonces) >= requests
    assert len(set(nonces)) == len(nonces)
    assert nonces == sorted(nonces)
