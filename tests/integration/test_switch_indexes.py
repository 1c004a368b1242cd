"""The indexes of a lane's switches, on random walks: by them workers know what to do, and when."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tests.support.switchboard import LANES, Board
from worker.model.constants import EVERYTHING
from worker.model.names import lane_of, switch_lane
from worker.model.switches import Armed, Release

PAIRS = ("a_x", "b_x", "c_x", "d_x", "e_x", "f_x")
TIMEOUTS_MS = (2_000, 5_000, 20_000, 61_234)
STEPS, LATELY = 500, 8
UNLIMITED = 0
MANY_ORDERS = 600
"""More than one step of a trip accepts cancels of."""
KINDS = {"20000:1", "20000:2", "none"}


class Walk:
    """Random calls of strategies, two workers and time, in one account."""

    def __init__(self, board: Board, seed: int, alias: str) -> None:
        self.board, self.random, self.alias = board, random.Random(seed), alias
        self.held: list[Armed] = []
        self.lane = switch_lane(lane_of("indodax", alias))
        self.waits = 0
        self.seen: Counter[str] = Counter()

    def step(self) -> str:
        """Do one of them; return its name."""
        often = (*["arm"] * 4, *["beat"] * 3, *["reconcile"] * 4, *["wait"] * 3)
        name = self.random.choice((*often, "disarm", "lists", "other", "job"))
        getattr(self, name)()
        return name

    def arm(self) -> None:
        """Arm some pairs, or everything; the same as before or others, by a message or a call."""
        rng = self.random
        first = rng.randrange(0, len(PAIRS), 2)
        pairs = list(PAIRS[first : first + rng.randint(1, 2)])
        if rng.random() < 0.05:
            pairs = [EVERYTHING]
        named: dict[str, Any] = {}
        if rng.random() < 0.3:
            named = {"name": rng.choice("nm"), "replace_named": rng.random() < 0.5}
        armed = self.board.arm(
            self.alias,
            pairs=pairs,
            timeout_ms=rng.choice(TIMEOUTS_MS),
            budget=rng.choice((UNLIMITED, 900)),
            shortest_ms=rng.choice((0, 10_000)),
            order_ids=[f"{pairs[0]}{n}" for n in range(rng.choice((0, 0, 3, MANY_ORDERS)))],
            mode=rng.choice(("arm", "touch")),
            **named,
        )
        if armed.epoch:
            self.held.append(armed)
            self.waits += armed.waiting

    def beat(self) -> None:
        """Beat for a switch, which may have ended."""
        if self.held:
            self.board.beat(self.random.choice(self.held[-LATELY:]))

    def disarm(self) -> None:
        """Disarm a switch, which may have ended."""
        if self.held:
            self.board.disarm(self.random.choice(self.held[-LATELY:]))

    def lists(self) -> None:
        """Have the cancel-alls of tripped switches listed."""
        self.board.list_scopes(self.alias)

    def other(self) -> None:
        """Have another worker look, maybe in the middle of the first one's request."""
        if self.board.claim(self.alias, "w2").tended:
            self.board.rest(self.alias, "w2", pause_ms=self.random.choice((0, 3_000)))

    def job(self) -> None:
        """Have a third worker claim a job, which shares the hold."""
        lane = lane_of("indodax", self.alias)
        self.board.ledger.claim(exchange="indodax", holder="w3", lease_ms=2_000, lane=lane)

    def reconcile(self) -> None:
        """Set or stop the timer of a switch, as a worker does, which may fail or die."""
        rng, failed = self.random, tuple[str, ...]()
        if not self.board.claim(self.alias).tended:
            return
        due = self.board.survey(self.alias)
        if due:
            switch = rng.choice(due)
            armed = Armed(switch.id, switch.epoch)
            leave = self.board.launch(armed, alias=self.alias, rules=())
            if rng.random() < 0.5:
                self.wait()
                self.other()
            if leave.verdict == "go" and rng.random() < 0.8:
                live = switch.state == "armed" and not switch.yielded
                self.board.synced(armed, switch.deadline_ms if live else 0, alias=self.alias)
            elif rng.random() < 0.5:
                failed = (switch.id,)
        pause_ms = rng.choice((0, 5_000))
        release = Release(pause_ms=pause_ms, failed=failed, first_ms=1_000, longest_ms=9_000)
        if rng.random() < 0.8:
            self.board.switches.report(self.lane, "w1", release=release)

    def wait(self) -> None:
        """Let time pass."""
        self.board.clock.advance(self.random.choice((100, 1_000, 4_000)))

    def check(self) -> None:
        """Assert that the indexes and counts are what the records say."""
        now, ends = self.board.now_ms, f"cx:ends:{self.lane}"
        due = self.index(f"cx:due:{self.lane}")
        timers, workers, kinds = dict[str, float](), dict[str, float](), Counter[str]()
        for switch_id in self.index("cx:switches"):
            row: dict[str, str] = self.board.client.hgetall(f"cx:switch:{switch_id}")  # type: ignore[assignment]
            at = min(int(row["deadline_ms"]), int(row.get("fires_ms", 0)) or 10**15)
            if row["state"] == "tripped" and switch_id in due:
                timers[switch_id] = workers[switch_id] = 0
                kinds["none"] += 1
            elif row["state"] == "armed" and row["native"] != "0":
                timers[switch_id] = at
                kinds[kind(row)] += 1
            elif row["state"] in ("armed", "waiting"):
                workers[switch_id] = at
        assert self.index(ends) == timers
        assert self.index(f"{ends}:workers") == workers
        counts: dict[str, str] = self.board.client.hgetall(f"{ends}:counts")  # type: ignore[assignment]
        assert {field: int(n) for field, n in counts.items() if field != "@"} == kinds
        assert all(due[each] <= at for each, at in {**timers, **workers}.items())
        place = self.index("cx:lanes").get(self.lane)
        assert place is not None or not due
        if workers:
            assert place is not None
            assert place <= max(now, min(workers.values()))
        self.seen += kinds

    def index(self, key: str) -> dict[str, float]:
        """Return what an index has."""
        return dict(self.board.client.zrange(key, 0, -1, withscores=True))  # type: ignore[arg-type]


def kind(row: dict[str, str]) -> str:
    """Return as what an armed switch whose timer the exchange holds is counted."""
    if row["native"] != "1":
        return "none"
    unit = 10 ** max(0, len(row["timeout_ms"]) - 3)
    return f"{int(row['timeout_ms']) // unit * unit}:{len(row['pairs'].split(','))}"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("alias", ["ix", "it"])
def test_indexes_and_counts_are_true_after_each_step(redis_url: str, seed: int, alias: str) -> None:
    """Whatever strategies and workers do; and the lane is due when workers must trip a switch."""
    walk = Walk(Board(redis_url), seed, alias)
    for number in range(STEPS):
        done = walk.step()
        try:
            walk.check()
        except AssertionError as error:
            raise AssertionError(f"step {number}: {done}") from error
    assert walk.waits
    assert set(walk.seen) >= KINDS


@pytest.mark.parametrize("seed", range(2))
def test_two_aliases_that_become_one_have_one_index(redis_url: str, seed: int) -> None:
    """What was armed under both moves to the lane that stands for the account."""
    board = Board(redis_url)
    one, two = Walk(board, seed, "ix"), Walk(board, seed + 100, "it")
    for _ in range(60):
        one.step()
        two.step()
    board.ledger.register(LANES, native={"indodax"}, identities={"ix": "key", "it": "key"})
    assert not one.index(f"cx:ends:{one.lane}")
    assert not one.index(f"cx:ends:{one.lane}:workers")
    two.check()
    for _ in range(200):
        two.random.choice((one, two)).step()
        two.check()
