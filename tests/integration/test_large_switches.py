"""Switches with very many orders: no step accepts or gives up more than a part of them."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from tests.support.switchboard import QUEUE, TIMEOUT_MS, Board
from worker.client.arming import Scope, arming_switch
from worker.client.switch import Switch
from worker.config.settings import Settings
from worker.errors import SwitchTripped
from worker.exchanges import EXCHANGES
from worker.model.constants import TRACK_MAX
from worker.model.names import lane_of, switch_lane
from worker.model.switches import Armed

PART = 250
RELEASE = 2_000
MANY = [f"o{n:05d}" for n in range(1_300)]
EV = lane_of("everstrike", "ev")


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def accepted(board: Board) -> list[str]:
    """Return the orders that have a cancel, each as often as it has."""
    ids: Any = board.client.zrange(f"cx:due:{EV}", 0, -1)
    found = [job.order_id or "" for job in board.ledger.many(ids) if job]
    return sorted(found)


def left(board: Board) -> list[str]:
    """Return the switches that a worker must look at."""
    found: Any = board.client.zrange(f"cx:due:{switch_lane(EV)}", 0, -1)
    return list(found)


def owned(board: Board) -> int:
    """Return how many pairs and orders are a switch's."""
    found: Any = board.client.hlen(f"cx:scope:{EV}")
    return int(found)


def overdue(board: Board, order_ids: list[str], **options: Any) -> Armed:
    """Arm a switch and let its deadline pass."""
    armed = board.arm("ev", order_ids=order_ids, **options)
    board.clock.advance(TIMEOUT_MS)
    return armed


def test_a_trip_continues_until_each_order_has_its_cancel(board: Board) -> None:
    """The switch has tripped at once; a part is accepted with each call, each order once."""
    armed = overdue(board, MANY, pairs=["a_x"])
    assert board.beat(armed).state == "tripped"
    first = accepted(board)
    assert "" in first  # the pair's
    assert 0 < len(first) <= PART
    counts = [len(first)]
    for number in range(5):
        board.claim("ev", f"w{number}")
        counts.append(len(accepted(board)))
    assert all(0 <= after - before <= PART for before, after in pairwise(counts))
    assert accepted(board) == ["", *MANY]
    assert left(board) == []
    assert owned(board) == 0
    record = board.switches.get(armed.switch_id)
    assert record is not None
    assert (record.state, sorted(record.order_ids)) == ("tripped", MANY)
    assert int(board.client.pttl(f"cx:switch:{armed.switch_id}")) > 0  # type: ignore[arg-type]


def test_no_bell_is_needed_to_continue(board: Board) -> None:
    """The lane is due until the trip is complete, and the claim says that there is more."""
    overdue(board, MANY)
    assert board.claim("ev").more
    assert board.lane_ms("ev") == board.now_ms
    while board.claim("ev").more:
        pass
    assert accepted(board) == MANY
    assert board.lane_ms("ev") is None


def test_what_is_proven_during_a_trip_is_not_canceled_again(board: Board) -> None:
    """An order that was closed before its turn came belongs to no switch any more."""
    armed = overdue(board, MANY)
    board.beat(armed)
    rest: Any = board.client.smembers(f"cx:switch:{armed.switch_id}:orders")
    closed = min(rest)
    board.client.srem(f"cx:switch:{armed.switch_id}:orders", closed)
    while board.claim("ev").more:
        pass
    assert accepted(board) == [order for order in MANY if order != closed]


def test_many_switches_share_a_step(board: Board) -> None:
    """However many run out at once, one call accepts a part of their orders."""
    for start in range(0, 1_200, 300):
        board.arm("ev", order_ids=MANY[start : start + 300])
    board.clock.advance(TIMEOUT_MS)
    board.claim("ev")
    assert len(accepted(board)) <= PART + 300
    while board.claim("ev").more:
        pass
    assert accepted(board) == MANY[:1_200]


def test_a_restarted_strategy_tracks_its_orders_again(board: Board) -> None:
    """While the trip continues: what it arms is its own, and stays so."""
    overdue(board, MANY)
    board.claim("ev")
    again = board.arm("ev", order_ids=MANY)
    while board.claim("ev").more:
        pass
    assert accepted(board) == MANY
    assert owned(board) == len(MANY)
    assert board.state(again) == "armed"


def test_a_native_switch_with_many_orders(board: Board) -> None:
    """Nothing is asked of the exchange's timer, nor is the trip cut short, when it is looked at."""
    lane = lane_of("indodax", "ix")
    board.arm("ix", pairs=["a_x"], order_ids=MANY)
    board.clock.advance(TIMEOUT_MS)
    board.claim("ix")
    board.survey("ix")
    while board.claim("ix").more:
        pass
    assert board.client.zcard(f"cx:due:{lane}") == len(MANY) + 1
    assert board.client.zcard(f"cx:due:{switch_lane(lane)}") == 0


def test_a_disarm_gives_its_orders_up_in_parts(board: Board) -> None:
    """It is disarmed at once; what it named is free for others, and forgotten soon."""
    many = [f"o{n:05d}" for n in range(RELEASE + 2_000)]
    armed = board.arm("ev", order_ids=many)
    assert board.disarm(armed) == "armed"
    assert owned(board) >= 2_000
    other = board.arm("ev", order_ids=many[:1])
    assert not other.overlaps
    while board.claim("ev").more:
        pass
    assert owned(board) == 1
    assert left(board) == [other.switch_id]


def test_disarmed_and_armed_again_it_keeps_its_orders(board: Board) -> None:
    """Before it has given them all up."""
    many = [f"o{n:05d}" for n in range(RELEASE + 2_000)]
    board.disarm(board.arm("ev", order_ids=many))
    again = board.arm("ev", order_ids=many)
    board.claim("ev")
    assert owned(board) == len(many)
    assert board.state(again) == "armed"


def test_very_many_are_armed_and_taken_over(board: Board) -> None:
    """As one scope, though no call names them all."""
    many = [f"o{n:05d}" for n in range(2 * TRACK_MAX + 1)]
    armed = board.arm("ev", order_ids=many)
    again = board.arm("ev", order_ids=many)
    assert (again.switch_id, again.epoch) == (armed.switch_id, armed.epoch + 1)
    assert owned(board) == len(many)


def test_one_that_an_older_version_armed_is_taken_over(board: Board) -> None:
    """Its record names all of its orders."""
    many = [f"o{n:05d}" for n in range(TRACK_MAX + 5)]
    armed = board.arm("ev", order_ids=many)
    board.client.hset(f"cx:switch:{armed.switch_id}", "armed_with", ",".join(many))
    assert board.arm("ev", order_ids=many).switch_id == armed.switch_id


def test_an_overlap_among_very_many_arms_nothing(board: Board) -> None:
    """Also if only the last is another's."""
    many = [f"o{n:05d}" for n in range(TRACK_MAX + 5)]
    other = board.arm("ev", order_ids=many[-1:])
    refused = board.arm("ev", order_ids=many)
    assert (refused.switch_id, bool(refused.overlaps)) == (other.switch_id, True)
    assert owned(board) == 1
    assert board.switches.disarm(other.switch_id, 0, (QUEUE, "bell")) == "armed"


def test_who_arms_very_many_learns_that_it_ended_during_the_call(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not tracked by then would stay on the book unwatched."""
    many = [f"o{n:05d}" for n in range(TRACK_MAX + 5)]
    store = board.switches._store  # noqa: SLF001  where its scripts run
    run = store.run

    def late(name: str, *args: Any, **options: Any) -> Any:
        if name == "track":
            board.clock.advance(TIMEOUT_MS)
        return run(name, *args, **options)

    monkeypatch.setattr(store, "run", late)
    with pytest.raises(SwitchTripped):
        board.switches.carry(
            arming_switch(
                partial(Switch, board.switches),
                Settings(),
                EXCHANGES["everstrike"],
                "ev",
                scope=Scope((), many),
                timeout_ms=TIMEOUT_MS,
                clear_wait_ms=0,
            )
        )
