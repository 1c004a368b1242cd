"""Random histories of strategies and of keepers that are stopped between any two steps.

Two keepers run in threads of their own, but only ever one thread runs: each
waits before every step until the history lets it continue, dies there, or gets
that its request or its reply was lost. Requests are real, and so is the exchange
that counts them; what must never happen is checked after every move.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.reconcilers import API_KEYS, Died, Keeping
from worker.errors import NotSent, ReplyLost
from worker.model.switches import Armed, Launch
from worker.simulator import Arrival

SCOPES: tuple[tuple[str, ...], ...] = (("a_x",), ("b_x", "c_x"), ("d_x",))
TIMEOUTS_MS = (4_000, 10_000, 30_000)
SLACK_MS = 100
"""How long the way may take, beside what a leave may be old: within what is
left off each countdown for it."""
WAY_MS = 300
"""What is left off each countdown for the way; it is no lag."""
MOVES = 34


@dataclass
class Scope:
    """What a strategy believes of its scope.

    Attributes:
        born: Rises with each new switch of the scope.
    """

    pairs: tuple[str, ...]
    armed: Armed | None = None
    live: bool = False
    born: int = 0


class Holder:
    """One keeper in a thread of its own, which runs only while it is let."""

    def __init__(self, keeping: Keeping, alias: str) -> None:
        self.work = keeping.worker(self._hook)
        self.alias = alias
        self.at = ""
        """The step before which it waits; empty while it has nothing to do."""
        self.name = ""
        self.frozen_ms = 0
        """How long it has waited to send what it has leave for."""
        self.leave_ms: int | None = None
        self.error: BaseException | None = None
        self._fate: Callable[[], None] | None = None
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def start(self, name: str) -> None:
        """Have it reconcile the account, up to its first step."""
        self.name = name
        self._resume()

    def step(self, fate: Callable[[], None] | None = None) -> None:
        """Let it continue to its next step, or meet its fate where it is."""
        self._fate = fate
        self._resume()

    def end(self) -> None:
        """Kill it where it is."""
        if self.at:
            self.step(_die)
        self._ended = True
        self._resume()
        self._thread.join()

    def _resume(self) -> None:
        self._go.release()
        self._stopped.acquire()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        while True:
            self._go.acquire()
            if self._ended:
                self._stopped.release()
                return
            try:
                self.work.tend(self.alias, self.name)
            except Died:
                pass
            except BaseException as error:  # noqa: BLE001  the history raises it
                self.error = error
            self.at, self.leave_ms, self.frozen_ms = "", None, 0
            self._stopped.release()

    def _hook(self, step: str) -> None:
        self.at = step
        self._stopped.release()
        self._go.acquire()
        fate, self._fate = self._fate, None
        if fate is not None:
            fate()


def _die() -> None:
    raise Died


def _never_left() -> None:
    raise NotSent("the network is down")


def _no_reply() -> None:
    raise ReplyLost("the network is down")


@dataclass
class History:
    """One random history; `run` plays it and checks it."""

    keeping: Keeping
    seed: int
    rng: random.Random = field(init=False)
    scopes: list[Scope] = field(init=False)
    holders: list[Holder] = field(init=False)
    alias: str = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"history {self.seed}")
        self.alias = self.rng.choice(("ix", "it"))
        self.scopes = [Scope(pairs) for pairs in SCOPES]
        self.holders = [Holder(self.keeping, self.alias) for _ in range(2)]
        self._seen = 0
        self._tends = 0
        self._newest: dict[str, tuple[int, int]] = {}
        """Per pair, the switch and epoch that the last accepted request was for."""
        self._last: dict[str, int] = {}
        """Per pair, the last countdown that was accepted."""
        self._late = False
        """Whether a request was held up for longer than any way takes."""
        self.accepted = 0

    def run(self) -> None:
        """Play the history, then let all end."""
        try:
            for _ in range(MOVES):
                self._move()
            for holder in self.holders:
                while holder.at:
                    self._step(holder)
            self._rest()
        finally:
            for holder in self.holders:
                holder.error = None
                holder.end()

    def _move(self) -> None:
        busy = [holder for holder in self.holders if holder.at]
        idle = [holder for holder in self.holders if not holder.at]
        dice = self.rng.random()
        if dice < 0.25:
            self._strategy(self.rng.choice(self.scopes))
        elif dice < 0.35 and not any(holder.at == "send" for holder in busy):
            self._pass(self.rng.choice((5, 40, 40, 120, 700, 1_500, 3_100, 6_200)))
        elif dice < 0.39:
            self._pass(self.rng.choice((5, 40, 3_100, 3_100, 7_000)))
        elif idle and (not busy or dice < 0.5):
            self._tends += 1
            self.rng.choice(idle).start(f"h{self._tends}")
        elif busy:
            holder = self.rng.choice(busy)
            for _ in range(self.rng.choice((1, 2, 4, 8))):
                if holder.at:
                    self._step(holder)

    def _strategy(self, scope: Scope) -> None:
        board = self.keeping.board
        dice = self.rng.random()
        if scope.armed is None or not scope.live or dice < 0.2:
            former = scope.armed.switch_id if scope.armed else ""
            touch = scope.live and self.rng.random() < 0.5
            board.list_scopes(self.alias, *scope.pairs)
            armed = board.arm(
                self.alias,
                pairs=list(scope.pairs),
                timeout_ms=self.rng.choice(TIMEOUTS_MS),
                mode="touch" if touch else "arm",
            )
            if armed.clearing:
                scope.live = False
                return
            scope.armed = armed
            scope.born += scope.armed.switch_id != former
            scope.live = True
        elif dice < 0.65:
            scope.live = board.beat(scope.armed).state == "armed"
        else:
            board.disarm(scope.armed)
            scope.live = False

    def _pass(self, ms: int) -> None:
        for holder in self.holders:
            if holder.at in {"launched", "nonce", "send"}:
                holder.frozen_ms += ms
        self.keeping.board.clock.advance(ms)
        self.keeping.sim.step_clock(0)

    def _step(self, holder: Holder) -> None:
        fate: Callable[[], None] | None = None
        if self.rng.random() < 0.06:
            fates = {"send": (_die, _never_left, _no_reply), "replied": (_die, _no_reply)}
            fate = self.rng.choice(fates.get(holder.at, (_die,)))
        was, launches = holder.at, len(holder.work.switches.launches)
        holder.step(fate)
        if len(holder.work.switches.launches) > launches:
            launch, members = holder.work.switches.launches[-1]
            holder.leave_ms = None
            if launch.verdict == "go":
                self._check_leave(holder, launch, members)
        self._check_arrivals(holder, was)

    def _check_leave(
        self, holder: Holder, launch: Launch, members: tuple[tuple[str, int], ...]
    ) -> None:
        """No other worker has a leave, and this one is for the present state."""
        now = self.keeping.now_ms
        holder.leave_ms, holder.frozen_ms = now, 0
        for other in self.holders:
            if other is not holder and other.leave_ms is not None:
                lease_ms = other.work.switches.lease_ms
                assert now - other.leave_ms >= lease_ms, "two leaves at once"
        deadlines = []
        for switch_id, epoch in members:
            record = self.keeping.board.switches.get(switch_id)
            assert record is not None
            assert record.epoch == epoch, "a leave for an older epoch"
            if record.state == "armed":
                deadlines.append(record.deadline_ms)
        assert launch.deadline_ms == min(deadlines, default=0)

    def _check_arrivals(self, holder: Holder, was: str) -> None:
        arrivals = self.keeping.sim.journal(after=self._seen)
        self._seen += len(arrivals)
        assert not arrivals or was == "send", f"sent at {was}"
        for arrival in arrivals:
            self._late |= holder.frozen_ms > SLACK_MS
            assert arrival.refusal != "rate" or self._late
            if arrival.applied:
                self._check_accepted(holder, arrival)

    def _check_accepted(self, holder: Holder, arrival: Arrival) -> None:
        """What the exchange took is newer than what it had, and ends by the deadline."""
        self.accepted += 1
        launch, members = holder.work.switches.launches[-1]
        epochs = dict(members)
        assert arrival.countdown_ms is not None
        for scope in self.scopes:
            if scope.pairs[0] not in arrival.pairs:
                continue
            assert scope.armed is not None
            assert set(scope.pairs) <= set(arrival.pairs)
            # Its switch may be another by now; then this one was the one before.
            epoch = epochs.get(scope.armed.switch_id)
            order = (scope.born, epoch) if epoch else (scope.born - 1, max(epochs.values()))
            former = self._newest.get(scope.pairs[0], (0, 0))
            assert order >= former, "an older epoch's request after a newer one's"
            if arrival.countdown_ms and self._last.get(scope.pairs[0]) == 0:
                assert order > former, "a stopped timer was set, and nobody armed it"
            self._newest[scope.pairs[0]] = order
            self._last[scope.pairs[0]] = arrival.countdown_ms
        if arrival.countdown_ms and holder.frozen_ms <= SLACK_MS:
            assert arrival.at_ms + arrival.countdown_ms <= launch.deadline_ms

    def _rest(self) -> None:
        """Let workers work without mishap: then exchange and switches agree."""
        board = self.keeping.board
        due = {switch.id for switch in board.survey(self.alias) if switch.due}
        waiting = {s.armed.switch_id for s in self.scopes if s.armed and s.armed.waiting}
        assert due | waiting == set(board.out_of_line(self.alias, put_off=False)) | waiting
        board.list_scopes(self.alias)
        worker = self.keeping.worker()
        for _ in range(60):
            worker.tend(self.alias, "last")
            if not board.out_of_line(self.alias):
                break
            at = board.lane_ms(self.alias)
            if at is not None and at > board.now_ms:
                self._pass(round(at) - board.now_ms)
        assert not board.out_of_line(self.alias)
        self._check_end()

    def _check_end(self) -> None:
        board = self.keeping.board
        timers = self.keeping.timers(self.alias)
        jobs = board.jobs(self.alias)
        for scope in self.scopes:
            record = board.switches.get(scope.armed.switch_id) if scope.armed else None
            running = {timers[pair] for pair in scope.pairs if pair in timers}
            if record is None or record.state == "disarmed":
                assert not scope.live, "armed, and the switch has ended"
                assert not running, "disarmed, and its timer runs"
            elif record.state == "armed":
                assert record.fires_ms is not None
                if record.fires_ms <= board.now_ms:
                    continue  # it has just fired, and no script has looked yet
                assert running, "armed, and no timer runs"
                assert record.fires_ms <= min(running), "its timer fires sooner than is believed"
                assert record.deadline_ms - record.timeout_ms / 4 - WAY_MS < min(running)
                assert max(running) <= record.deadline_ms, "its timer outlives its deadline"
            else:
                wanted = sorted(pair for pair in scope.pairs)
                mine = [job.pair for job in jobs if job.parent == record.id]
                pending = {job.pair for job in jobs}
                assert len(mine) == len(set(mine))
                assert set(wanted) <= pending, "tripped, and nobody cancels its orders"


def fresh(keeping: Keeping) -> None:
    """Begin with an empty Redis and a new exchange."""
    keeping.board.client.flushall()
    keeping.board.clock.set(keeping.now_ms + 60_000)
    keeping.board.register()
    keeping.sim.reset()
    for key in API_KEYS.values():
        keeping.sim.add_key("indodax", key, keeping.secret)
