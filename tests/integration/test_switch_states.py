"""Every call on a switch in every state: what it says, and what it leaves."""

from __future__ import annotations

import pytest

from tests.support.switchboard import TIMEOUT_MS, Board
from worker.client.switch import Switch
from worker.errors import SwitchDisarmed, SwitchError, SwitchReplaced, SwitchTripped, SwitchUnknown
from worker.model.switches import Armed
from worker.store.ledger import Ledger

STATES: dict[str, type[SwitchError] | None] = {
    "armed": None,
    "unknown": SwitchUnknown,
    "expired": SwitchTripped,
    "tripped": SwitchTripped,
    "disarmed": SwitchDisarmed,
    "ended": SwitchDisarmed,
    "replaced": SwitchReplaced,
    "replaced and disarmed": SwitchReplaced,
    "replaced and tripped": SwitchReplaced,
}
"""What its first holder gets in each state."""


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def bring(board: Board, state: str, alias: str) -> Armed:
    """Arm a switch and bring it into a state; return its first arming."""
    armed = board.arm(alias, pairs=["btc_idr"], order_ids=["a1"])
    match state:
        case "unknown":
            board.client.delete(f"cx:switch:{armed.switch_id}")
        case "expired":
            board.clock.advance(TIMEOUT_MS)
        case "tripped":
            board.clock.advance(TIMEOUT_MS)
            board.claim(alias)
            assert board.state(armed) == "tripped"
        case "disarmed" | "ended":
            board.disarm(armed)
            if state == "ended" and alias != "ev":
                board.stop(armed, alias)
        case "replaced" | "replaced and disarmed" | "replaced and tripped":
            later = board.arm(alias, pairs=["btc_idr"], order_ids=["a1"])
            assert (later.switch_id, later.epoch) == (armed.switch_id, armed.epoch + 1)
            if state == "replaced and disarmed":
                board.disarm(later)
            elif state == "replaced and tripped":
                board.clock.advance(TIMEOUT_MS)
                board.claim(alias)
        case _:
            assert state == "armed"
    board.bells()
    return armed


def make(call: str, switch: Switch) -> None:
    """Make a call as the holder."""
    match call:
        case "beat":
            switch.beat()
        case "disarm":
            switch.disarm()
        case "track":
            switch.track("a2")
        case _:
            switch.untrack("a1")


@pytest.mark.parametrize("alias", ["ev", "ix"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", ["beat", "disarm", "track", "untrack"])
def test_call(board: Board, call: str, state: str, alias: str) -> None:
    """A holder learns the state of its switch; disarming twice alone is no error."""
    armed = bring(board, state, alias)
    before = board.switches.get(armed.switch_id)
    # Where an order needs its pair, it cannot be tracked by its id.
    switch = board.handle(armed, "ev" if call == "track" else alias)
    told = STATES[state]
    if told is None or (call == "disarm" and told is SwitchDisarmed):
        make(call, switch)
    else:
        with pytest.raises(told, match=switch.id):
            make(call, switch)
    after = board.switches.get(armed.switch_id)
    if state == "expired":
        assert after is not None
        assert after.state == "tripped"
        assert len(board.jobs(alias)) == 2
    elif state != "armed":
        assert after == before


@pytest.mark.parametrize("alias", ["ev", "ix"])
@pytest.mark.parametrize("state", STATES)
def test_arming_the_same_scope(board: Board, state: str, alias: str) -> None:
    """Whatever happened to a switch, its scope can be armed; the later epoch wins.

    After a trip not before the scope has been listed.
    """
    armed = bring(board, state, alias)
    before = board.switches.get(armed.switch_id)
    trips = state in {"expired", "tripped", "replaced and tripped"}
    again = board.arm(alias, pairs=["btc_idr"], order_ids=["a1"])
    assert (again.clearing is not None) == trips
    if trips:
        board.list_scopes(alias)
        again = board.arm(alias, pairs=["btc_idr"], order_ids=["a1"])
    kept = state in {"armed", "replaced"}
    kept |= alias == "ix" and state in {"disarmed", "replaced and disarmed"}
    assert (again.switch_id == armed.switch_id) == kept
    assert before is None or again.epoch == (before.epoch + 1 if kept else 1)
    assert board.state(again) == "armed"
    assert again.deadline_ms == board.now_ms + TIMEOUT_MS
    assert board.beat(again).state == "armed"
    if kept:
        with pytest.raises(SwitchReplaced):
            board.handle(armed, alias).beat()
    assert len(board.jobs(alias)) == (2 if trips else 0)


@pytest.mark.parametrize("alias", ["ev", "ix"])
@pytest.mark.parametrize("state", STATES)
def test_acting_for_any_holder(board: Board, state: str, alias: str) -> None:
    """Epoch 0 is any: it learns the state alone, and moves whatever is armed."""
    armed = bring(board, state, alias)
    states = {
        "replaced": "armed",
        "ended": "disarmed",
        "expired": "tripped",
        "replaced and disarmed": "disarmed",
        "replaced and tripped": "tripped",
    }
    assert board.beat(armed, epoch=0).state == states.get(state, state)
    assert board.disarm(armed, epoch=0) == states.get(state, state)


@pytest.mark.parametrize("alias", ["ev", "ix"])
def test_a_beat_moves_the_deadline(board: Board, alias: str) -> None:
    """Each beat puts the deadline one timeout from now, to the last moment."""
    armed = board.arm(alias)
    for wait_ms in (1, TIMEOUT_MS // 2, TIMEOUT_MS - 1):
        board.clock.advance(wait_ms)
        beaten = board.beat(armed)
        assert (beaten.state, beaten.left_ms) == ("armed", TIMEOUT_MS)
        record = board.switches.get(armed.switch_id)
        assert record is not None
        assert record.deadline_ms == board.now_ms + TIMEOUT_MS
        assert record.beat_ms == board.now_ms
    board.clock.advance(TIMEOUT_MS)
    assert board.beat(armed).state == "tripped"


def test_an_emulated_switch_is_in_time_while_a_worker_lives(board: Board) -> None:
    """Without an exchange's timer it is a living worker that holds the deadline."""
    armed = board.arm("ev")
    assert not board.beat(armed).in_time
    board.ledger.heartbeat("w1", ttl_ms=5_000)
    assert board.beat(armed).in_time
    board.clock.advance(4_999)
    assert board.beat(armed).in_time
    board.clock.advance(1)
    assert not board.beat(armed).in_time


def test_a_worker_of_other_accounts_holds_no_deadline(board: Board) -> None:
    """Who lives but does not serve the account will not cancel its orders."""
    armed = board.arm("ev")
    stranger = Ledger(board.clock.store(), digest="stranger")
    stranger.register([("other", "everstrike", 0)])
    stranger.heartbeat("w2", ttl_ms=5_000)
    assert not board.beat(armed).in_time
    stranger.register([("ev", "everstrike", 0)])
    assert board.beat(armed).in_time


def test_a_native_switch_is_in_time_while_the_exchange_has_it(board: Board) -> None:
    """What counts is that the timer runs, with more than a quarter of the timeout left."""
    armed = board.arm("ix")
    assert not board.beat(armed).in_time
    board.in_line(armed)
    assert board.beat(armed).in_time
    board.clock.advance(TIMEOUT_MS * 3 // 4 - 1)
    assert board.beat(armed).in_time
    board.clock.advance(1)
    assert not board.beat(armed).in_time
