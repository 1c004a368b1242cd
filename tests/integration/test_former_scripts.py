"""Producers of an older version bring their own scripts: each works, or fails as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from tests.support.stepped_time import KEY
from tests.support.switchboard import QUEUE, TIMEOUT_MS, Board
from tests.support.upgrade import FOLDER
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.model.switches import Armed

CLOCK = f"local function now_ms() return tonumber(redis.call('GET', '{KEY}')) end"
EXCHANGES = {"ix": "indodax", "ev": "everstrike"}


class Former:
    """A producer of that version, beside workers of this one."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def run(self, name: str, *args: str | int) -> Any:
        """Run one of its scripts."""
        parts = [CLOCK] + [
            (FOLDER / "lua" / f"{each}.lua").read_text() for each in ("lanes", "switches", name)
        ]
        return self.board.client.eval("\n".join(parts), 0, "cx:", *map(str, args))

    def arm(self, alias: str, *pairs: str) -> Any:
        """Arm pairs."""
        exchange = EXCHANGES[alias]
        native = int(exchange == "indodax")
        head = (new_id(), lane_of(exchange, alias), alias, native, TIMEOUT_MS, "arm", 0)
        return self.run("arm", *head, QUEUE, "bell", len(pairs), *pairs)

    def beat(self, armed: Armed) -> str:
        """Beat; return the state."""
        answer = self.run("beat", armed.switch_id, armed.epoch, QUEUE, "BELL")
        return str(answer[0])

    def disarm(self, armed: Armed) -> str:
        """Disarm; return the state before."""
        answer = self.run("disarm", armed.switch_id, armed.epoch, QUEUE, "bell", 0, "", 0)
        return str(answer[0])


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock, with a worker of this version."""
    return Board(redis_url)


@pytest.fixture
def former(board: Board) -> Former:
    """The older producer."""
    return Former(board)


@pytest.mark.parametrize("alias", EXCHANGES)
def test_its_arm_fails_and_changes_nothing(board: Board, former: Former, alias: str) -> None:
    """What it would write no worker of this version looks at."""
    before = set(board.client.keys("*"))  # type: ignore[arg-type]
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        former.arm(alias, "btc_idr")
    assert set(board.client.keys("*")) == before  # type: ignore[arg-type]


@pytest.mark.parametrize("alias", EXCHANGES)
def test_its_beats_keep_a_switch(board: Board, former: Former, alias: str) -> None:
    """A strategy that runs on does not lose its switch while workers are replaced."""
    armed = board.arm(alias)
    board.clock.advance(TIMEOUT_MS - 1_000)
    assert former.beat(armed) == "armed"
    board.clock.advance(TIMEOUT_MS - 1_000)
    assert board.state(armed) == "armed"
    assert board.beat(armed).state == "armed"


@pytest.mark.parametrize("alias", EXCHANGES)
def test_a_late_beat_of_it_trips_nothing_half(board: Board, former: Former, alias: str) -> None:
    """It fails, and workers trip the switch with all of its scope."""
    armed = board.arm(alias)
    board.clock.advance(TIMEOUT_MS)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        former.beat(armed)
    assert board.state(armed) == "armed"
    board.claim(alias)
    assert board.state(armed) == "tripped"
    assert [job.pair for job in board.jobs(alias)] == ["btc_idr"]


def test_its_disarm_ends_a_switch_that_the_exchange_holds(board: Board, former: Former) -> None:
    """And workers stop the timer."""
    armed = board.arm("ix")
    board.in_line(armed)
    assert former.disarm(armed) == "armed"
    board.stop(armed)
    assert board.state(armed) == "disarmed"
    assert not board.arm("ix", pairs=["btc_idr", "eth_idr"]).overlaps


def test_its_disarm_of_another_fails_and_has_been_done(board: Board, former: Former) -> None:
    """Asking again says so, and the switch cancels nothing."""
    armed = board.arm("ev")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        former.disarm(armed)
    assert former.disarm(Armed(armed.switch_id, armed.epoch + 1)) == "disarmed"
    board.clock.advance(2 * TIMEOUT_MS)
    board.claim("ev")
    assert board.state(armed) == "disarmed"
    assert board.jobs("ev") == []
    assert not board.arm("ev", pairs=["btc_idr", "eth_idr"]).overlaps
