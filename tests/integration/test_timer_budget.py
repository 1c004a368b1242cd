"""What the timers of an account need of its limit, and when workers hold a switch instead."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.switchboard import Board
from worker.model.constants import SERIAL_MAX_MS, SERIAL_MIN_MS
from worker.model.names import lane_of, switch_lane

ACCOUNT = lane_of("indodax", "ix")
LANE = f"cx:lane:{switch_lane(ACCOUNT)}"
SHORTEST_MS, LITTLE = 2_000, 1
"""The shortest timeout, and a budget that no switch fits in."""
TIMEOUTS_MS = (4_000, 4_500, 4_510, 5_060, 20_000, 22_500, 22_600, 61_200, 600_000)
RENEWALS, SHARED = 3, 10
MOST_IN_ONE = 20
FIRES = 3


@pytest.fixture
def board(redis_url: str) -> Board:
    """An empty Redis on a stepped clock."""
    return Board(redis_url)


def terms(board: Board, *, budget: int = 0, per_request: int = 50, firings: int = 0) -> None:
    """Register what the timers of the account can keep."""
    row = (ACCOUNT, SHORTEST_MS, budget, per_request, 200, 0, firings)
    board.switches.register_terms([row])


def needed(switches: Iterable[tuple[int, int]], per_request: int) -> float:
    """Return the requests in 1,000 s that renew switches: timeout and number of pairs of each.

    Each is renewed three times in a timeout, and those whose timeouts are within an eighth of
    the shortest of them share requests: ten times as many as the largest takes, if one request
    may name several pairs.
    """
    total, group = 0.0, list[tuple[int, int]]()
    last = (10**12, 0)
    for timeout_ms, pairs in sorted([*switches, last]):
        if group and timeout_ms > group[0][0] * 9 / 8:
            requests = [math.ceil(each / per_request) for _, each in group]
            shared = SHARED * max(requests) if per_request > 1 else math.inf
            total += min(RENEWALS * sum(requests), shared) * 1_000_000 / group[0][0]
            group = []
        group.append((timeout_ms, pairs))
    return total


def probe(board: Board, timeout_ms: int, pairs: int, per_request: int) -> str:
    """Return why a switch of new pairs has no timer, where nothing fits in the budget."""
    terms(board, budget=LITTLE, per_request=per_request)
    names = [f"probe{n}_x" for n in range(pairs)]
    return board.arm(pairs=names, timeout_ms=timeout_ms).held_why


@pytest.mark.parametrize("per_request", [1, 2, 3, 50])
@pytest.mark.parametrize("seed", range(6))
def test_what_timers_need_is_counted_exactly(board: Board, per_request: int, seed: int) -> None:
    """Of switches of any number, timeouts and pairs; one that is armed again counts once."""
    rng = random.Random(seed)
    terms(board, per_request=per_request)
    armed: dict[int, tuple[int, int]] = {}
    for _ in range(rng.randint(1, 30)):
        number = rng.randrange(MOST_IN_ONE)
        timeout_ms, pairs = rng.choice(TIMEOUTS_MS), 1 + number % 5
        names = [f"s{number}p{n}_x" for n in range(pairs)]
        assert board.arm(pairs=names, timeout_ms=timeout_ms).native
        armed[number] = (timeout_ms, pairs)
    wanted = (rng.choice(TIMEOUTS_MS), rng.randint(1, 5))
    why = probe(board, *wanted, per_request)
    expected = needed([*armed.values(), wanted], per_request)
    assert why == f"limit {math.ceil(expected - 1e-9)}"


def test_a_timeout_counts_as_up_to_a_hundredth_shorter(board: Board) -> None:
    """So that there are few different ones; never as longer."""
    terms(board, per_request=1)
    board.arm(pairs=["a_x"], timeout_ms=61_299)
    only = needed([(61_200, 1), (600_000, 1)], 1)
    assert probe(board, 600_000, 1, 1) == f"limit {math.ceil(only)}"


def test_a_switch_that_is_armed_again_counts_beside_its_like(board: Board) -> None:
    """It counts once, and each of the others too."""
    terms(board, per_request=1)
    for pair in ("a_x", "b_x", "c_x"):
        board.arm(pairs=[pair], timeout_ms=20_000)
    terms(board, budget=LITTLE, per_request=1)
    why = board.arm(pairs=["a_x"], timeout_ms=20_000).held_why
    assert why == f"limit {round(needed([(20_000, 1)] * 3, 1))}"


def test_before_a_worker_has_registered_a_request_names_fifty_pairs(board: Board) -> None:
    """A pair more takes another request."""
    names = [f"p{n}_x" for n in range(51)]
    why = board.arm(pairs=names, timeout_ms=20_000, budget=LITTLE).held_why
    assert why == f"limit {round(needed([(20_000, 51)], 50))}"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_what_just_fits_in_the_limit_has_a_timer(board: Board, count: int) -> None:
    """And nothing more."""
    each = RENEWALS * 1_000_000 // 10_000
    terms(board, budget=count * each, per_request=1)
    armed = [board.arm(pairs=[f"p{n}_x"], timeout_ms=10_000).native for n in range(count + 1)]
    assert armed == [True] * count + [False]


@pytest.mark.parametrize(("timeout_ms", "why"), [(6_999, "slow 7000"), (7_000, "")])
def test_what_has_proven_too_slow_has_no_timer(board: Board, timeout_ms: int, why: str) -> None:
    """For as long as that is remembered."""
    terms(board)
    until = board.now_ms + 1_000
    board.client.hset(LANE, mapping={"slow_ms": 7_000, "slow_until": until})
    assert board.arm(timeout_ms=timeout_ms).held_why == why
    board.clock.advance(1_000)
    assert board.arm(timeout_ms=timeout_ms).native


def test_what_a_worker_has_found_counts_until_it_is_forgotten(board: Board) -> None:
    """Where the exchange keeps no timer, none is asked for."""
    terms(board)
    board.client.hset(LANE, mapping={"unused_why": "lost", "unused_until": board.now_ms + 1_000})
    assert board.arm().held_why == "lost"
    board.clock.advance(999)
    assert board.arm().held_why == "lost"
    board.clock.advance(1)
    assert board.arm().native


@pytest.mark.parametrize(("fired", "why"), [(FIRES - 1, ""), (FIRES, f"spent {FIRES}")])
def test_a_timer_that_may_not_fire_again_today_is_not_used(
    board: Board, fired: int, why: str
) -> None:
    """What the exchange allows in a day is counted by it."""
    terms(board, firings=FIRES)
    day = board.now_ms // 86_400_000
    board.client.hset(LANE, mapping={"firings_day": day, "firings": fired})
    assert board.arm().held_why == why


def test_one_firing_in_a_day_is_a_bound_too(board: Board) -> None:
    """The smallest that there is."""
    terms(board, firings=1)
    day = board.now_ms // 86_400_000
    board.client.hset(LANE, mapping={"firings_day": day, "firings": 1})
    assert board.arm().held_why == "spent 1"


@pytest.mark.parametrize(
    ("timeout_ms", "longest_ms"),
    [(2_000, SERIAL_MIN_MS), (6_007, 1_501), (10_000, 2_500), (60_000, SERIAL_MAX_MS)],
)
def test_jobs_that_share_the_hold_get_leases_for_the_shortest_timeout(
    board: Board, timeout_ms: int, longest_ms: int
) -> None:
    """So that the death of a worker costs the switches no more than a quarter of it."""
    terms(board)
    board.arm(pairs=["a_x"], timeout_ms=600_000)
    board.arm(pairs=["b_x"], timeout_ms=timeout_ms)
    assert board.client.hget(LANE, "serial_ms") == str(longest_ms)


def test_a_longer_timeout_takes_the_place_of_a_shorter_one(board: Board) -> None:
    """Of a switch that is armed again only the last counts."""
    terms(board)
    board.arm(timeout_ms=8_000)
    board.arm(timeout_ms=60_000)
    assert board.client.hget(LANE, "serial_ms") == str(SERIAL_MAX_MS)


def test_an_account_without_a_hold_has_no_such_lease(board: Board) -> None:
    """Its requests do not wait for each other."""
    board.switches.register_terms([(lane_of("indodax", "it"), SHORTEST_MS, 0, 50, 200, 0, 0)])
    board.arm("it", timeout_ms=10_000)
    row: Any = board.client.hgetall(f"cx:lane:{switch_lane(lane_of('indodax', 'it'))}")
    assert "serial_ms" not in row
