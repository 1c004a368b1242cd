"""Redis loses its data: what was granted before is forgotten, and must leave the window first."""

from __future__ import annotations

import pytest

from tests.support.stepped_time import Stepped
from worker.model.constants import AHEAD_MS
from worker.model.limits import Rule
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter

WINDOW_MS = 10_000
FLIGHT_MS = 3_000
HOLD_MS = AHEAD_MS + FLIGHT_MS + WINDOW_MS
RULES = [Rule("r", 10, WINDOW_MS, paced=True)]
PRESENCE_MS = 5_000


class Worker:
    """What a worker process does each second, and what it remembers."""

    def __init__(self, clock: Stepped, name: str) -> None:
        store = clock.store()
        self.name = name
        self.ledger = Ledger(store, digest="d")
        self.limiter = Limiter(store)

    def beat(self) -> bool:
        """Beat; return whether Redis knows the worker's lanes."""
        return self.ledger.heartbeat(self.name, ttl_ms=PRESENCE_MS)[1]

    def wait_ms(self) -> int:
        """Ask for a rate slot; return how long to wait for it."""
        return self.limiter.reserve(RULES, flight_ms=FLIGHT_MS).wait_ms


@pytest.fixture
def clock(redis_url: str) -> Stepped:
    """An empty Redis on a stepped clock."""
    return Stepped(redis_url)


def lose(clock: Stepped) -> None:
    """Have Redis lose all its data; time continues."""
    clock.client.flushall()
    clock.set(clock.now_ms)


def test_a_first_start_holds_nothing_off(clock: Stepped) -> None:
    """An empty Redis that no worker knew before has lost nothing."""
    workers = [Worker(clock, f"w{n}") for n in range(3)]
    for worker in workers:
        worker.beat()
        assert worker.wait_ms() == 0
        worker.beat()


def test_a_loss_holds_off_for_a_window_and_a_flight(clock: Stepped) -> None:
    """From the heartbeat that notices, until all that was granted before has left the window."""
    worker = Worker(clock, "w")
    worker.beat()
    lose(clock)
    clock.advance(700)
    worker.beat()
    assert worker.wait_ms() == HOLD_MS + 1
    clock.advance(HOLD_MS)
    worker.beat()
    assert worker.wait_ms() == 1
    clock.advance(1)
    assert worker.wait_ms() == 0


def test_a_new_worker_does_not_hide_a_loss(clock: Stepped) -> None:
    """One that starts after the loss and beats first knows nothing of it; another does."""
    old, new = Worker(clock, "old"), Worker(clock, "new")
    old.beat()
    lose(clock)
    new.beat()
    clock.advance(400)
    old.beat()
    assert new.wait_ms() == HOLD_MS + 1 - 400
    assert old.wait_ms() == new.wait_ms()


def test_a_loss_counts_once(clock: Stepped) -> None:
    """A worker that notices later, a frozen worker even, does not hold off again."""
    early, late = Worker(clock, "early"), Worker(clock, "late")
    early.beat()
    late.beat()
    lose(clock)
    early.beat()
    clock.advance(60_000)
    assert early.wait_ms() == 0
    late.beat()
    assert early.wait_ms() == 0


def test_each_loss_counts(clock: Stepped) -> None:
    """A second loss begins a hold-off of its own."""
    worker = Worker(clock, "w")
    for _ in range(3):
        worker.beat()
        lose(clock)
        clock.advance(1_000)
        worker.beat()
        assert worker.wait_ms() == HOLD_MS + 1
        clock.advance(20_000)
        assert worker.wait_ms() == 0


def test_no_window_at_the_exchange_spans_a_loss(clock: Stepped) -> None:
    """Requests granted just before the loss may arrive after it; none are added to them."""
    worker = Worker(clock, "w")
    worker.beat()
    for _ in range(10):
        assert worker.wait_ms() == 0
    latest_ms = clock.now_ms + FLIGHT_MS
    lose(clock)
    worker.beat()
    wait_ms = worker.wait_ms()
    clock.advance(wait_ms)
    assert worker.wait_ms() == 0
    assert clock.now_ms > latest_ms + WINDOW_MS


def test_lanes_are_registered_again(clock: Stepped) -> None:
    """After a loss a worker learns that its lanes are unknown, and registers them again."""
    worker = Worker(clock, "w")
    assert not worker.beat()
    worker.ledger.register([("ix", "indodax", 1)], native={"indodax"})
    assert worker.beat()
    lose(clock)
    assert not worker.beat()
    worker.ledger.register([("ix", "indodax", 1)], native={"indodax"})
    assert worker.beat()
    assert worker.ledger.accounts() == {"ix": "indodax"}


def test_dead_workers_are_forgotten(clock: Stepped) -> None:
    """A worker without a heartbeat for a while is no longer counted as alive."""
    one, other = Worker(clock, "one"), Worker(clock, "other")
    one.beat()
    other.beat()
    clock.advance(PRESENCE_MS)
    other.beat()
    assert list(other.ledger.workers()) == ["other"]
