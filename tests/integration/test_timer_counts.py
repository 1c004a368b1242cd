"""The counts by which `arm` knows what the timers of an account need: they are always true."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support.full_redis import a_redis, fill
from tests.support.switchboard import LANES, Board
from worker import StoreUnavailable
from worker.model.names import lane_of, switch_lane

ACCOUNT = lane_of("indodax", "ix")
ENDS = f"cx:ends:{switch_lane(ACCOUNT)}"
PAIRS = ("a_x", "b_x", "c_x", "d_x", "e_x", "f_x")
UNLIMITED = 0
ONE_HOUR_MS = 3_600_000


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def counted(board: Board, ends: str = ENDS) -> Counter[str]:
    """Return what is counted, by timeout and number of pairs."""
    row: dict[str, str] = board.client.hgetall(f"{ends}:counts")  # type: ignore[assignment]
    return Counter({field: int(count) for field, count in row.items() if field != "@"})


def members(board: Board, ends: str = ENDS) -> Counter[str]:
    """Return what there is to be counted, by each switch's record."""
    found: Counter[str] = Counter()
    ids: list[str] = board.client.zrange(ends, 0, -1)  # type: ignore[assignment]
    for switch_id in ids:
        row: dict[str, str] = board.client.hgetall(f"cx:switch:{switch_id}")  # type: ignore[assignment]
        if row["native"] == "1" and row["state"] == "armed":
            digits = 10 ** max(0, len(row["timeout_ms"]) - 3)
            timeout = int(row["timeout_ms"]) // digits * digits
            found[f"{timeout}:{len(row['pairs'].split(','))}"] += 1
        else:
            found["none"] += 1
    return found


def test_two_aliases_of_one_account_are_counted_in_its_lane(board: Board) -> None:
    """Also what was armed under either before any worker had registered that they are one."""
    for alias, pair in (("ix", "a_x"), ("it", "b_x"), ("it", "a_x")):
        board.arm(alias, pairs=[pair], timeout_ms=8_000)
    board.ledger.register(LANES, native={"indodax"}, identities={"ix": "key", "it": "key"})
    home = f"cx:ends:{switch_lane('indodax:it')}"  # the first of both, by their names
    assert sum(members(board, home).values()) == len(("a_x", "b_x")), "of a_x the last one"
    assert counted(board, home) == members(board, home)
    assert not counted(board)


def test_what_an_older_version_changed_is_counted(board: Board) -> None:
    """Its scripts keep no counts: an arm that needs them counts all switches, not too often."""
    held = [board.arm(pairs=[pair], timeout_ms=8_000, budget=900) for pair in PAIRS[:2]]
    assert board.arm(pairs=["c_x"], timeout_ms=8_000, budget=900).held_why.startswith("limit")
    board.client.zrem(ENDS, held[0].switch_id)
    board.client.hset(f"cx:switch:{held[0].switch_id}", "state", "disarmed")
    board.clock.advance(5_001)
    assert board.arm(pairs=["c_x"], timeout_ms=8_000, budget=900).native
    assert counted(board) == members(board)


def test_what_was_counted_again_leaves_as_it_was_counted(board: Board) -> None:
    """The records say how: without another count the sums stay true."""
    held = [board.arm(pairs=[pair], timeout_ms=9_000_000) for pair in PAIRS[:3]]
    for each in held:
        board.client.hset(f"cx:switch:{each.switch_id}", "timeout_ms", "6000000")
        board.client.hdel(f"cx:switch:{each.switch_id}", "counted")
    board.client.delete(f"{ENDS}:counts")
    board.arm(pairs=["e_x"], timeout_ms=9_000_000)
    assert counted(board) == {"6000000:1": 3, "9000000:1": 1}
    for each in held[:2]:
        board.disarm(each)
    assert counted(board) == members(board)


def test_an_id_without_a_record_gets_none(board: Board) -> None:
    """It is counted while it is in the index, and nothing is written about it."""
    board.client.zadd(ENDS, {"unknown": board.now_ms + 60_000})
    board.arm(pairs=["a_x"], timeout_ms=9_000_000)
    assert not board.client.exists("cx:switch:unknown")
    assert counted(board) == {"none": 1, "9000000:1": 1}


def test_what_was_armed_before_there_were_counts_is_counted(board: Board) -> None:
    """After an upgrade the first arm knows what is armed."""
    for pair in PAIRS[:2]:
        armed = board.arm(pairs=[pair], timeout_ms=8_000, budget=900)
        board.client.hdel(f"cx:switch:{armed.switch_id}", "counted")
    board.client.delete(f"{ENDS}:counts")
    assert board.arm(pairs=["c_x"], timeout_ms=8_000, budget=900).held_why.startswith("limit")


def test_counts_that_are_wrong_by_chance_are_corrected_within_an_hour(board: Board) -> None:
    """An older version may have ended one switch and armed another: the sum is right then."""
    first = board.arm(pairs=["a_x"], timeout_ms=8_000_000, budget=UNLIMITED)
    board.client.hset(f"cx:switch:{first.switch_id}", "timeout_ms", "6000000")
    board.clock.advance(10_000)
    board.arm(pairs=["b_x"], timeout_ms=9_000_000, budget=UNLIMITED)
    assert counted(board) != members(board)
    board.clock.advance(ONE_HOUR_MS + 1 - 10_000)
    board.arm(pairs=["c_x"], timeout_ms=9_000_000, budget=900)
    assert counted(board) == members(board)


def test_the_limit_counts_more_than_a_thousand_switches(board: Board) -> None:
    """However many are armed, none is promised a timer that cannot be renewed."""
    board.switches.register_terms([(ACCOUNT, 5_000, 1_100, 1, 200, 0, 0)])  # one pair a request
    kinds = [
        board.arm(pairs=[f"p{n}_x"], timeout_ms=3_000_000).native  # one renewal in 1,000 s
        for n in range(1_110)
    ]
    assert sum(kinds) == 1_100


def test_arming_takes_no_more_commands_the_more_are_armed(board: Board) -> None:
    """A switch more does not make the next one dearer."""

    def commands(pair: str) -> int:
        before = sum_of_calls(board)
        board.arm(pairs=[pair], budget=10**9)
        return sum_of_calls(board) - before

    few = [commands(f"p{n}_x") for n in range(10)][-1]
    for n in range(10, 200):
        board.arm(pairs=[f"p{n}_x"], budget=10**9)
    assert commands("q_x") <= few


def sum_of_calls(board: Board) -> int:
    """Return how many commands Redis has carried out, those of scripts included."""
    stats: dict[str, dict[str, int]] = board.client.info("commandstats")  # type: ignore[assignment]
    return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")


@pytest.mark.parametrize("counted_ms_ago", [0, ONE_HOUR_MS + 1])
def test_a_full_redis_takes_no_new_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted_ms_ago: int
) -> None:
    """Also when all must be counted again."""
    with a_redis("6.2", tmp_path, monkeypatch) as server:
        board = Board(server.url)
        board.arm(pairs=["a_x"], timeout_ms=8_000_000, budget=900)
        board.clock.advance(counted_ms_ago)
        fill(board.client)
        with pytest.raises(StoreUnavailable, match="it is full"):
            board.arm(pairs=["b_x"], timeout_ms=8_000_000, budget=900)
