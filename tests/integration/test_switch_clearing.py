"""A scope is armed only once no former switch of it can cancel new orders."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ledgers import Verb, settlement
from tests.support.polling import eventually
from tests.support.switchboard import TIMEOUT_MS, Board
from tests.support.world import World
from worker import Producer, SwitchClearing, clock
from worker.factory import build_dispatcher
from worker.model.constants import EXECUTED_MS, FIRED_MS
from worker.model.jobs import Job, Kind, NewJob
from worker.model.outcomes import Outcome
from worker.model.settlements import new_id
from worker.model.switches import Armed
from worker.simulator import Simulator


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def tripped(board: Board, alias: str = "ev", **options: Any) -> Armed:
    """Return a switch that has run out."""
    armed = board.arm(alias, **options)
    board.clock.advance(TIMEOUT_MS)
    board.claim(alias)
    assert board.state(armed) == "tripped"
    return armed


def claim(board: Board, alias: str = "ev", holder: str = "w") -> Job:
    """Claim the account's next job."""
    lane = f"{'everstrike' if alias == 'ev' else 'indodax'}:{alias}"
    exchange = lane.partition(":")[0]
    (job,) = board.ledger.claim(exchange=exchange, holder=holder, lease_ms=9_000, lane=lane).jobs
    return job


def settle(board: Board, job: Job, holder: str = "w", **came_to: Any) -> None:
    """Record the result of an attempt."""
    made = settlement(job, came_to.pop("verb", Verb.AGAIN), **came_to)
    board.ledger.settle([made], holder=holder, retention_ms=9_000, lease_ms=9_000, limit=0)


LISTED: dict[str, Any] = {"phase": "list", "listed": True}
EMPTY: dict[str, Any] = {"phase": "list", "empty": True}
NOT_LISTED: dict[str, dict[str, Any]] = {
    "refused": {"phase": "list", "streak": 1},
    "one side canceled": {"phase": "sell", "streak": 1},
    "both sides canceled": {"phase": "list", "streak": 1},
}


@pytest.mark.parametrize("former", [["a_x"], ["a_x", "b_x"], ["a_x", "b_x", "c_x"]])
@pytest.mark.parametrize("list_", [LISTED, EMPTY])
def test_arms_after_the_first_complete_list(
    board: Board, former: list[str], list_: dict[str, Any]
) -> None:
    """The same scope, a wider and a narrower one: each pair that tripped must be listed."""
    tripped(board, pairs=former)
    for _ in former:
        clearing = board.arm("ev", pairs=["a_x", "b_x"]).clearing
        assert clearing is not None
        assert clearing.pair in former
        job = claim(board)
        assert board.arm("ev", pairs=[job.pair]).clearing is not None, "its list is under way"
        settle(board, job, **list_, delay_ms=60_000)
    again = board.arm("ev", pairs=["a_x", "b_x"])
    assert again.clearing is None
    assert board.state(again) == "armed"


@pytest.mark.parametrize("case", NOT_LISTED)
def test_what_is_no_complete_list_clears_nothing(board: Board, case: str) -> None:
    """Nor does a part of a cancel of both sides: what follows would hit new orders."""
    tripped(board, pairs=["a_x"])
    settle(board, claim(board), **NOT_LISTED[case], delay_ms=4_000)
    clearing = board.arm("ev", pairs=["a_x"]).clearing
    assert clearing is not None
    assert 4_000 <= clearing.wait_ms <= 5_000


def test_other_pairs_are_free(board: Board) -> None:
    """What shares no pair with a switch that tripped is armed at once."""
    tripped(board, pairs=["a_x"], order_ids=["1"])
    assert board.arm("ev", pairs=["b_x"]).clearing is None
    assert board.arm("ev", order_ids=["2"]).clearing is None


def test_a_cancel_by_hand_bars_no_arming(board: Board) -> None:
    """A cancel-all that a person or the strategy itself asked for does as it says."""
    job = NewJob(new_id(), "everstrike:ev", Kind.CANCEL_ALL, pair="a_x")
    board.ledger.accept([job])
    assert board.arm("ev", pairs=["a_x"]).clearing is None


def test_a_trip_that_joins_a_listed_cancel_bars_again(board: Board) -> None:
    """Merged into a cancel-all that was listed before, a trip has to be listed itself."""
    board.ledger.accept([NewJob(new_id(), "everstrike:ev", Kind.CANCEL_ALL, pair="a_x")])
    settle(board, claim(board), **LISTED)
    armed = board.arm("ev", pairs=["a_x"])
    first = claim(board)
    board.clock.advance(TIMEOUT_MS)
    board.beat(armed)
    settle(board, first, "w", verb=Verb.DONE, outcome=Outcome.CANCELED)
    assert board.arm("ev", pairs=["a_x"]).clearing is not None
    settle(board, claim(board), **LISTED)
    board.clock.advance(9_000 + EXECUTED_MS)
    assert board.arm("ev", pairs=["a_x"]).clearing is None


def test_an_unanswered_cancel_of_the_scope_is_waited_for(board: Board) -> None:
    """It may be carried out late: listed or given up in between, the scope is not clear."""
    tripped(board, pairs=["a_x"])
    settle(board, claim(board), phase="list", unanswered=True)
    settle(board, claim(board), **LISTED)
    assert board.arm("ev", pairs=["a_x"]).clearing is not None
    job = claim(board)
    settle(board, job, verb=Verb.DEAD, outcome=Outcome.UNKNOWN)
    clearing = board.arm("ev", pairs=["a_x"]).clearing
    assert clearing is not None
    assert (clearing.job_id, clearing.wait_ms) == ("", EXECUTED_MS)
    board.clock.advance(EXECUTED_MS)
    assert board.arm("ev", pairs=["a_x"]).clearing is None


@pytest.mark.parametrize("end", ["hand back", "lease"])
@pytest.mark.parametrize("phase", ["", "list"])
def test_an_attempt_that_was_ended_early_is_waited_for(board: Board, end: str, phase: str) -> None:
    """Its worker may still read a list, or its cancel arrive, to the end of its lease."""
    board.ledger.accept([NewJob(new_id(), "everstrike:ev", Kind.CANCEL_ALL, pair="a_x")])
    if phase:
        settle(board, claim(board), phase=phase, streak=1)
    armed = board.arm("ev", pairs=["a_x"])
    board.clock.advance(TIMEOUT_MS - 100)
    slow = claim(board, holder="slow")
    lease_ends_ms = board.now_ms + slow.lease_ms
    board.clock.advance(100)
    assert board.beat(armed).state == "tripped"
    if end == "hand back":
        board.ledger.hand_back([(slow, "slow")])
    else:
        board.clock.advance(2_000)
    settle(board, claim(board), **LISTED)
    clearing = board.arm("ev", pairs=["a_x"]).clearing
    assert clearing is not None
    late_ms = 0 if phase else EXECUTED_MS
    assert board.now_ms + clearing.wait_ms == lease_ends_ms + late_ms
    board.clock.advance(clearing.wait_ms)
    assert board.arm("ev", pairs=["a_x"]).clearing is None


def test_a_dead_letter_bars_no_arming(board: Board) -> None:
    """A person has been alerted by then; what rests is theirs to look at."""
    tripped(board, pairs=["a_x"])
    settle(board, claim(board), verb=Verb.DEAD, outcome=Outcome.UNAUTHORIZED)
    assert board.arm("ev", pairs=["a_x"]).clearing is None


def test_the_exchanges_own_timer_is_waited_for(board: Board) -> None:
    """Tripped when it may first have fired, it may fire until the deadline it was set for."""
    armed = board.arm("it")
    board.in_line(armed, "it", fires_ms=armed.deadline_ms - 1_000)
    board.clock.advance(TIMEOUT_MS - 1_000)
    assert board.beat(armed).state == "tripped"
    board.list_scopes("it")
    clearing = board.arm("it").clearing
    assert clearing is not None
    assert clearing.wait_ms == 1_000 + FIRED_MS
    board.clock.advance(1_000 + FIRED_MS)
    assert board.arm("it").clearing is None


@pytest.mark.parametrize("alias", ["ev", "ix"])
def test_a_message_waits_and_is_armed_once_clear(board: Board, alias: str) -> None:
    """No error reaches its sender: the deadline runs from the first, and later ones move it."""
    tripped(board, alias, pairs=["a_x"])
    waiting = board.arm(alias, pairs=["a_x"], mode="touch")
    assert waiting.waiting
    board.clock.advance(1_000)
    touched = board.arm(alias, pairs=["a_x"], mode="touch")
    assert (touched.switch_id, touched.waiting) == (waiting.switch_id, True)
    assert touched.deadline_ms == board.now_ms + TIMEOUT_MS
    assert not board.beat(touched, epoch=0).in_time
    assert not board.claim(alias).tended
    assert board.state(waiting) == "waiting"
    board.list_scopes(alias)
    board.clock.advance(300)
    assert bool(board.claim(alias).tended) == (alias == "ix")
    assert board.state(waiting) == "armed"
    assert board.arm(alias, pairs=["a_x"], mode="touch").deadline_ms == board.now_ms + TIMEOUT_MS


@pytest.mark.parametrize("alias", ["ev", "ix"])
def test_what_waits_and_falls_silent_trips(board: Board, alias: str) -> None:
    """Its orders come off at its deadline, whether or not it was ever armed."""
    tripped(board, alias, pairs=["a_x"])
    waiting = board.arm(alias, pairs=["a_x"], mode="touch")
    board.clock.advance(TIMEOUT_MS)
    board.claim(alias)
    assert board.state(waiting) == "tripped"
    (job,) = board.jobs(alias)
    assert board.client.hget(f"cx:job:{job.id}", "anew") == "1"


@pytest.mark.parametrize("alias", ["ev", "ix"])
def test_what_waits_can_be_disarmed_and_armed_over(board: Board, alias: str) -> None:
    """A disarm ends it; a strategy that arms is refused as long as it is not clear."""
    tripped(board, alias, pairs=["a_x"])
    waiting = board.arm(alias, pairs=["a_x"], mode="touch")
    assert board.arm(alias, pairs=["a_x"]).clearing is not None
    assert board.arm(alias, pairs=["a_x", "b_x"], mode="touch").overlaps
    assert board.disarm(waiting) == "armed"
    assert board.state(waiting) == "disarmed"
    board.list_scopes(alias)
    board.clock.advance(300)
    board.claim(alias)
    assert board.state(waiting) == "disarmed"


@pytest.fixture
def patient(sim: Simulator, redis_url: str, tmp_path: Any) -> World:
    """BitMart at its careful default of one request a second."""
    sim.set_option("bitmart_requests_per_s", 0)
    return World(sim, redis_url, tmp_path, limits={})


@pytest.fixture
def working(patient: World) -> Iterator[Producer]:
    """A worker in this process, and a producer."""
    engine = build_dispatcher(patient.settings())
    engine.register()
    engine.start()
    yield patient.producer()
    engine.stop_claiming()
    engine.stop()


def trip(producer: Producer, alias: str, pair: str) -> None:
    """Arm a switch and let it run out."""
    producer.arm(alias, pairs=[pair], timeout_ms=1_000)
    eventually(lambda: producer.switches()[0].state == "tripped", pause_ms=10)


def test_a_trip_in_parts_spares_new_orders(patient: World, working: Producer) -> None:
    """Restarted between the cancels of two sides, a strategy is refused until both are through."""
    old = patient.place("bm", pair="BTC_USDT", side="buy")
    trip(working, "bm", "BTC_USDT")
    eventually(lambda: patient.status("bm", old[0]) == "canceled")
    with pytest.raises(SwitchClearing, match="BTC_USDT") as refused:
        working.arm("bm", pairs=["BTC_USDT"], timeout_ms=20_000)
    assert refused.value.retry_after_ms > 0
    working.arm("bm", pairs=["BTC_USDT"], timeout_ms=20_000, clear_wait_ms=10_000)
    new = patient.place("bm", 2, pair="BTC_USDT", side="sell")
    ended(working)
    assert [patient.status("bm", order) for order in new] == ["open", "open"]


def test_a_trip_that_is_listed_late_spares_new_orders(patient: World, working: Producer) -> None:
    """While the list fails arming is refused; armed after it, nothing of the new life is hit."""
    (old,) = patient.place("ev", pair="BTC_USD")
    paths = ("open_orders", "/active_orders")
    patient.sim.set_faults({"html_5xx": 1.0}, exchange="everstrike", paths=paths)
    trip(working, "ev", "BTC_USD")
    begun = clock.monotonic_ms()
    with pytest.raises(SwitchClearing, match="tripped; job"):
        working.arm("ev", pairs=["BTC_USD"], timeout_ms=20_000, clear_wait_ms=600)
    assert clock.monotonic_ms() - begun >= 600
    heal = threading.Timer(0.3, lambda: patient.sim.set_faults({}, exchange="everstrike"))
    heal.start()
    working.arm("ev", pairs=["BTC_USD"], timeout_ms=20_000, clear_wait_ms=20_000)
    heal.join()
    new = patient.place("ev", 2, pair="BTC_USD")
    ended(working)
    assert patient.status("ev", old) == "canceled"
    assert [patient.status("ev", order) for order in new] == ["open", "open"]


def ended(producer: Producer) -> None:
    """Wait until nothing of the former life is pending."""
    ledger = producer._ledger  # noqa: SLF001  no other way to all that is pending
    eventually(lambda: not ledger.pending(limit=10), within_ms=60_000, pause_ms=20)


@pytest.mark.parametrize("wait_ms", [-1, 1.5, "1", True])
def test_a_wait_that_is_none_is_refused(world: World, wait_ms: Any) -> None:
    """A wait is a whole number of milliseconds."""
    with pytest.raises(ValueError, match="clear_wait_ms"):
        world.producer().arm("ev", pairs=["a"], timeout_ms=2_000, clear_wait_ms=wait_ms)
