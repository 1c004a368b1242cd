"""Deadlines that workers hold: nothing else that an account's switches need delays a trip."""

from __future__ import annotations

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board
from worker.model.constants import FIRED_MS, TEND_MS
from worker.model.names import lane_of, switch_lane
from worker.model.switches import Armed, Release

MANY = 300
"""More than one claim looks at."""
LONG_MS, SHORT_MS = 600_000, 3_000
SHORTEST_MS = 5_000
ENDS = f"cx:ends:{switch_lane(lane_of('indodax', 'it'))}"


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def native(board: Board, count: int = 1) -> list[Armed]:
    """Arm switches whose timers the exchange is to hold."""
    return [board.arm("it", pairs=[f"p{n}_x"], timeout_ms=LONG_MS) for n in range(count)]


def by_workers(board: Board) -> Armed:
    """Arm a switch of the same account that workers hold."""
    armed = board.arm("it", pairs=["z_x"], timeout_ms=SHORT_MS, shortest_ms=SHORTEST_MS)
    assert not armed.native
    return armed


def trips_at_its_deadline(board: Board, armed: Armed, *, holder: str = "w2") -> None:
    """Assert that a worker is called by the deadline, and that its claim then trips it."""
    board.clock.advance(SHORT_MS - 1)
    board.claim("it", holder)
    assert board.state(armed) in ("armed", "waiting")
    assert (board.lane_ms("it") or 0) <= armed.deadline_ms
    board.clock.advance(1)
    board.claim("it", holder)
    assert board.state(armed) == "tripped"


def test_timers_that_wait_to_be_set_do_not_delay_a_trip(board: Board) -> None:
    """However many there are."""
    native(board, MANY)
    armed = by_workers(board)
    trips_at_its_deadline(board, armed, holder="w1")


def test_timers_that_wait_to_be_stopped_do_not_delay_a_trip(board: Board) -> None:
    """However many there are."""
    held = native(board, MANY)
    armed = by_workers(board)
    for each in held:
        board.disarm(each)
    trips_at_its_deadline(board, armed, holder="w1")


def test_a_request_under_way_does_not_delay_a_trip(board: Board) -> None:
    """Another worker holds the account's switches while the exchange does not answer."""
    (held,) = native(board)
    armed = by_workers(board)
    assert board.claim("it", "w1").tended
    assert board.launch(held, "w1", "it", lease_ms=2 * SHORT_MS).verdict == "go"
    trips_at_its_deadline(board, armed)
    assert not board.claim("it", "w2").tended, "it is still the other's"
    board.synced(held, held.deadline_ms, holder="w1", alias="it")
    assert board.fires_ms(held) == held.deadline_ms


def test_a_renewal_under_way_keeps_a_beating_switch(board: Board) -> None:
    """Its reply comes a little after the former timer would have fired; its strategy has beaten."""
    armed = board.arm("it", pairs=["a_x"], timeout_ms=TIMEOUT_MS)
    board.in_line(armed, "it")
    board.clock.advance(TIMEOUT_MS - 1_000)
    deadline_ms = board.now_ms + board.beat(armed).left_ms
    assert board.claim("it", "w1").tended
    assert board.launch(armed, "w1", "it", lease_ms=SHORT_MS).verdict == "go"
    board.clock.advance(1_200)
    board.claim("it", "w2")
    board.synced(armed, deadline_ms - 500, holder="w1", alias="it")
    board.rest("it", "w1")
    assert board.state(armed) == "armed"
    assert board.jobs("it") == []


def test_what_is_under_way_as_a_switch_trips_delays_the_next_life(board: Board) -> None:
    """A countdown of a ms may be on its way: what is placed later must not meet it."""
    armed = board.arm("it", pairs=["a_x"], timeout_ms=TIMEOUT_MS)
    board.clock.advance(TIMEOUT_MS - 100)
    assert board.claim("it", "w1").tended
    flight_ms = 5_000
    assert board.launch(armed, "w1", "it", lease_ms=SHORT_MS, flight_ms=flight_ms).verdict == "go"
    board.clock.advance(100)
    assert board.arm("it", pairs=["a_x"]).clearing is not None
    assert board.state(armed) == "tripped"
    board.list_scopes("it")
    board.clock.advance(FIRED_MS + 1)
    assert board.arm("it", pairs=["a_x"]).clearing is not None
    board.clock.advance(flight_ms - 100)
    assert board.arm("it", pairs=["a_x"]).clearing is None


def rest(board: Board) -> None:
    """Have an account's timers rest for a minute, after failures."""
    (held,) = native(board)
    assert board.claim("it", "w1").tended
    lane = switch_lane(lane_of("indodax", "it"))
    rests = Release(pause_ms=60_000, failed=(held.switch_id,), first_ms=60_000, longest_ms=60_000)
    board.switches.report(lane, "w1", release=rests)


def test_a_pause_after_failures_does_not_delay_a_trip(board: Board) -> None:
    """The account's timers rest; its deadlines do not."""
    armed = by_workers(board)
    rest(board)
    trips_at_its_deadline(board, armed)


def test_a_trip_leaves_a_pause_alone(board: Board) -> None:
    """The account's timers rest on."""
    armed = by_workers(board)
    rest(board)
    board.clock.advance(SHORT_MS)
    assert not board.claim("it", "w2").tended
    assert board.state(armed) == "tripped"
    assert not board.claim("it", "w2").tended
    assert (board.lane_ms("it") or 0) > board.now_ms + 50_000


def test_a_trip_of_very_many_orders_goes_on_while_another_holds_the_lane(board: Board) -> None:
    """Part by part, until each has a cancel."""
    (held,) = native(board)
    ids = [f"o{n}" for n in range(600)]
    armed = board.arm("it", order_ids=ids, timeout_ms=SHORT_MS, shortest_ms=SHORTEST_MS)
    assert board.claim("it", "w1").tended
    assert board.launch(held, "w1", "it", lease_ms=2 * SHORT_MS).verdict == "go"
    board.clock.advance(SHORT_MS)
    for _ in range(3):
        assert (board.lane_ms("it") or 0) <= board.now_ms
        board.claim("it", "w2")
    assert board.state(armed) == "tripped"
    assert {job.order_id for job in board.jobs("it")} == set(ids)
    assert not board.client.exists(f"{ENDS}:workers")


def test_a_switch_without_a_record_is_alerted_of_once(board: Board) -> None:
    """Not again as its deadline comes."""
    armed = by_workers(board)
    board.client.delete(f"cx:switch:{armed.switch_id}")
    lane = switch_lane(lane_of("indodax", "it"))
    board.client.zadd(f"cx:due:{lane}", {armed.switch_id: 0})
    board.client.zadd("cx:lanes", {lane: 0})
    board.claim("it")
    stray = f"{lane} {armed.switch_id}"
    assert board.client.zscore("cx:astray", stray) is not None
    board.client.zadd("cx:astray", {stray: float("inf")})  # a person has been alerted
    native(board)
    board.clock.advance(SHORT_MS)
    board.claim("it")
    assert board.client.zscore("cx:astray", stray) == float("inf")


def test_what_an_older_version_has_ended_long_ago_is_no_stray(board: Board) -> None:
    """Its record has expired as it should; its place in the index is left."""
    board.client.zadd(f"{ENDS}:workers", {"ended": board.now_ms + SHORT_MS})
    native(board)
    board.clock.advance(SHORT_MS)
    board.claim("it")
    assert not board.client.exists("cx:astray")
    assert not board.client.exists(f"{ENDS}:workers")


def test_a_switch_that_waits_to_be_armed_trips_in_time(board: Board) -> None:
    """Its deadline runs, whatever else is due."""
    first = board.arm("it", pairs=["z_x"], timeout_ms=1_000, shortest_ms=SHORTEST_MS)
    board.clock.advance(1_000)
    board.claim("it")
    assert board.state(first) == "tripped"
    native(board, MANY)
    armed = board.arm("it", pairs=["z_x"], timeout_ms=SHORT_MS, mode="touch")
    assert armed.waiting
    trips_at_its_deadline(board, armed, holder="w1")


def test_what_an_older_version_has_ended_is_left_alone(board: Board) -> None:
    """Its scripts leave it in the index of deadlines."""
    armed = by_workers(board)
    board.disarm(armed)
    board.client.zadd(f"{ENDS}:workers", {armed.switch_id: armed.deadline_ms, "unknown": 1})
    by_workers(board)
    board.clock.advance(SHORT_MS)
    board.claim("it")
    assert board.state(armed) == "disarmed"
    assert len(board.jobs("it")) == 1, "of the one that was armed after it"
    assert not board.client.exists(f"{ENDS}:workers")


def test_a_switch_is_in_one_index_alone(board: Board) -> None:
    """Armed again with a longer timeout the exchange holds it; and the other way round."""
    by_workers(board)
    longer = board.arm("it", pairs=["z_x"], timeout_ms=LONG_MS, shortest_ms=SHORTEST_MS)
    assert longer.native
    assert not board.client.exists(f"{ENDS}:workers")
    assert board.client.zcard(ENDS) == 1
    by_workers(board)
    assert not board.client.exists(ENDS)
    assert board.client.zcard(f"{ENDS}:workers") == 1


def test_a_trip_takes_it_out_of_the_deadlines(board: Board) -> None:
    """After a beat that moves it, too."""
    armed = by_workers(board)
    board.clock.advance(1_000)
    board.beat(armed)
    scores = dict(board.client.zrange(f"{ENDS}:workers", 0, -1, withscores=True))  # type: ignore[arg-type]
    assert scores == {armed.switch_id: board.now_ms + SHORT_MS}
    board.clock.advance(SHORT_MS + TEND_MS)
    assert board.beat(armed).state == "tripped"
    assert not board.client.exists(f"{ENDS}:workers")
