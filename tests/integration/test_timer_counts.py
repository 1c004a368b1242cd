"""The counts by which `arm` knows what the timers of an account need: they are always true."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.support.switchboard import LANES, Board
from worker.model.names import lane_of, switch_lane
from worker.model.switches import Armed

ACCOUNT = lane_of("indodax", "ix")
ENDS = f"cx:ends:{switch_lane(ACCOUNT)}"
TIMEOUTS_MS = (5_000, 20_000, 20_040, 61_234)
PAIRS = ("a_x", "b_x", "c_x", "d_x", "e_x", "f_x")
UNLIMITED = 0
STEPS = 1_500
ANSWERED = 0.8
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


class Walk:
    """Random calls of strategies, workers and time."""

    def __init__(self, board: Board, seed: int) -> None:
        self.board, self.random = board, random.Random(seed)
        self.held: list[Armed] = []

    def step(self) -> str:
        """Do one of them; return its name."""
        names = (*["arm"] * 4, *["beat"] * 3, "disarm", *["reconcile"] * 4, "wait")
        name = self.random.choice(names)
        getattr(self, name)()
        return name

    def arm(self) -> None:
        """Arm some pairs, the same as before or others, by a message or a call."""
        first = self.random.randrange(0, len(PAIRS), 2)
        pairs = list(PAIRS[first : first + self.random.randint(1, 2)])
        armed = self.board.arm(
            pairs=pairs,
            timeout_ms=self.random.choice(TIMEOUTS_MS),
            budget=self.random.choice((UNLIMITED, 900)),
            shortest_ms=self.random.choice((0, 10_000)),
            mode=self.random.choice(("arm", "touch")),
        )
        if armed.epoch:
            self.held.append(armed)

    def beat(self) -> None:
        """Beat for a switch, which may have ended."""
        if self.held:
            self.board.beat(self.random.choice(self.held))

    def disarm(self) -> None:
        """Disarm a switch, which may have ended."""
        if self.held:
            self.board.disarm(self.random.choice(self.held))

    def reconcile(self) -> None:
        """Set or stop the timer of a switch, as a worker does; or trip what is due."""
        if not self.board.claim().tended:
            return
        due = self.board.survey()
        if due:
            switch = self.random.choice(due)
            armed = Armed(switch.id, switch.epoch)
            leave = self.board.launch(armed, rules=())
            if leave.verdict == "go" and self.random.random() < ANSWERED:
                live = switch.state == "armed" and not switch.yielded
                self.board.synced(armed, switch.deadline_ms if live else 0)
        self.board.rest()

    def wait(self) -> None:
        """Let time pass."""
        self.board.clock.advance(self.random.choice((100, 2_000, 4_000)))


def test_counts_are_true_after_each_step(board: Board) -> None:
    """Whatever strategies and workers do, each switch is counted as it is; without a recount."""
    board.arm(pairs=["z_x"], timeout_ms=9_000_000, budget=UNLIMITED)
    walk, seen = Walk(board, seed=1), Counter[str]()
    for _ in range(STEPS):
        done = walk.step()
        assert counted(board) == members(board), done
        seen += members(board)
    kinds = {"5000:1", "5000:2", "20000:1", "20000:2", "61200:1", "61200:2", "none"}
    assert kinds <= set(seen), "the walk met all kinds"


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
    """Its scripts keep no counts: the next arm that needs them counts all switches."""
    held = [board.arm(pairs=[pair], timeout_ms=8_000, budget=900) for pair in PAIRS[:2]]
    assert board.arm(pairs=["c_x"], timeout_ms=8_000, budget=900).held_why.startswith("limit")
    board.client.zrem(ENDS, held[0].switch_id)
    board.client.hset(f"cx:switch:{held[0].switch_id}", "state", "disarmed")
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
    board.arm(pairs=["b_x"], timeout_ms=9_000_000, budget=UNLIMITED)
    assert counted(board) != members(board)
    board.clock.advance(ONE_HOUR_MS + 1)
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
