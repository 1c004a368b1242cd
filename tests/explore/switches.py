"""The life of one native switch: arm, beat, disarm, trip, launch, report, re-arm.

One strategy arms, beats and disarms; two workers claim the switches' lane,
survey, plan, ask for leave, send, and record. Requests to the exchange may
arrive late, unanswered or never, in nonce mode: a nonce below one that the
exchange has seen is refused. Scripts and plans are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple

from tests.explore.image import Content, Late, Staged
from tests.support.stepped_time import START_MS
from worker.model.limits import Rule
from worker.model.names import switch_lane
from worker.model.switches import AT_ONCE, Launch, Release, Report, Timers
from worker.store.ledger import Ledger
from worker.store.switches import Switches
from worker.switches.plan import countdown_ms, plan

EXCHANGE = "indodax"
ALIAS = "ix"
LANE = f"{EXCHANGE}:{ALIAS}"
SWITCH_LANE = switch_lane(LANE)
PAIR = "btc_idr"
DIGEST = "these-lanes"
QUEUE = "bells"
TIMEOUT_MS = 8_000
TICKS_MS = (1_000, 4_000)
VALID_MS = 900
TEND_MS = 1_000
FLIGHT_MS = 300
LAUNCH_MAX_MS = 500
TRANSIT_MS = 300
BACKOFF_MS = 200
BACKOFF_MAX_MS = 5_000
RULES = (Rule("countdown", 10, 10_000, paced=True),)
What = tuple[object, ...]
"""A script call: its name and arguments."""
Move = tuple[str, "Callable[[], World]", bool]
"""Its words, its effect, and whether it is a fault."""


class Worker(NamedTuple):
    """A worker between two of its steps.

    Attributes:
        at: idle, survey, launch, send or release.
        epoch: Of the switch as planned for.
        stop: Whether its request stops the timer.
        leave_ms: When the leave was given.
        deadline_ms: Of the leave.
        fires_ms: When the timer fires; 0 if it is stopped, -1 if that is unknown.
        release: How it gives the lane up.
    """

    holder: str
    at: str
    left: int
    switch_id: str = ""
    epoch: int = 0
    stop: bool = False
    leave_ms: int = 0
    deadline_ms: int = 0
    fires_ms: int = -1
    release: Release = AT_ONCE


class Strategy(NamedTuple):
    """What the strategy has done, and knows.

    Attributes:
        holds: The switch and epoch of its last `arm` that was answered.
        latest_ms: The latest deadline that any of its calls may have set.
        acked_ms: The deadline that its last answered call set, at the earliest;
            0 if it has asked to disarm since.
        over: Whether a disarm has been answered and nothing was asked since.
        over_ms: When.
    """

    left: int
    holds: tuple[str, int] | None = None
    latest_ms: int = 0
    acked_ms: int = 0
    over: bool = False
    over_ms: int = 0


class Exchange(NamedTuple):
    """The exchange's side.

    Attributes:
        nonce: The highest that it has seen.
        fires_ms: When its timer fires; 0 for none.
        fired_ms: When it last fired; 0 if it has not.
    """

    nonce: int = 0
    fires_ms: int = 0
    fired_ms: int = 0


class Call(NamedTuple):
    """A script call that was not answered and that may run yet.

    Attributes:
        waited: Whether its caller does nothing else until it is no longer valid.
    """

    words: str
    what: What
    until_ms: int
    waited: bool = False


class Request(NamedTuple):
    """A countdown request on its way after its sender has given it up."""

    nonce: int
    left_ms: int
    until_ms: int


class World(NamedTuple):
    """One state of everything."""

    image: bytes
    now_ms: int
    ticks: int
    faults: int
    nonces: int
    """The last nonce given."""
    strategy: Strategy
    workers: tuple[Worker, Worker]
    exchange: Exchange
    wire: tuple[Call, ...] = ()
    requests: tuple[Request, ...] = ()
    broken: str = ""
    """What was broken by the last move."""


class SwitchesModel:
    """Every history of one native switch within a scope.

    Args:
        url: A Redis that this may empty.
        steps: Steps of each worker.
        asks: Steps of the strategy.
        ticks: How often time passes.
        faults: How many calls and requests fail, and workers die.
        planted: A bug; see `Staged`.
        refused: Whether calls stay on their way once they are no longer valid, for the
            scripts to refuse them; else they are taken off, as they change nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        steps: int,
        asks: int,
        ticks: int,
        faults: int,
        planted: tuple[str, str] | None = None,
        refused: bool = False,
    ) -> None:
        self.staged = Staged(url, planted)
        self.refused = refused
        self.ledger = Ledger(self.staged, digest=DIGEST)
        self.switches = Switches(self.staged)
        self.steps, self.asks, self.ticks, self.faults = steps, asks, ticks, faults
        self._ended: set[int] = set()

    def start(self) -> World:
        """Return a Redis that knows the account, and nothing else."""
        self.staged.now_ms = START_MS
        self.staged.until_ms = START_MS + VALID_MS
        self.ledger.register([(ALIAS, EXCHANGE, 1)], native={EXCHANGE})
        return World(
            image=self.staged.image,
            now_ms=START_MS,
            ticks=self.ticks,
            faults=self.faults,
            nonces=0,
            strategy=Strategy(self.asks),
            workers=(Worker("w00", "idle", self.steps), Worker("w01", "idle", self.steps)),
            exchange=Exchange(),
        )

    def key(self, state: World) -> tuple[Hashable, tuple[int, ...]]:
        """Return the state, the same for one in which the workers have changed places."""
        first, second = state.workers
        left = (state.strategy.left, state.ticks, state.faults, first.left, second.left)
        state = state._replace(
            ticks=0,
            faults=0,
            strategy=state.strategy._replace(left=0),
            workers=(first._replace(left=0), second._replace(left=0)),
        )
        first, second = state.workers
        swapped = _swap(state.image, first.holder, second.holder)
        other = state._replace(
            image=swapped,
            workers=(
                second._replace(holder=first.holder),
                first._replace(holder=second.holder),
            ),
            wire=tuple(_renamed(call, first.holder, second.holder) for call in state.wire),
        )
        one, two = hash(state), hash(other)
        if one < two or (one == two and left[3] >= left[4]):
            return one, left
        return two, (*left[:3], left[4], left[3])

    # What can happen.

    def moves(self, state: World) -> Iterator[tuple[str, Callable[[], World]]]:
        """Return every move: of the strategy, the workers, what is on its way, the clock."""
        actors: list[Iterator[Move]] = []
        if state.strategy.left and not any(call.waited for call in state.wire):
            actors.append(self._strategy(state))
        actors += [self._worker(state, n) for n in (0, 1) if state.workers[n].left]
        for words, move, fault in chain(*actors):
            if not fault:
                yield words, move
            elif state.faults:
                yield words, partial(_after, move)
        for call in state.wire:
            yield f"late: {call.words}", partial(self._late, state, call)
        for request in state.requests:
            yield f"late: request {request.nonce}", partial(_arrives, state, request)
        if state.ticks:
            for ms in TICKS_MS:
                yield f"{ms} ms pass", partial(self._tick, state, ms)

    def _tick(self, state: World, ms: int) -> World:
        later = _tick(state, ms)
        if self.refused:
            kept = tuple(call._replace(waited=False) for call in state.wire)
            return later._replace(wire=kept)
        return later

    def _strategy(self, state: World) -> Iterator[Move]:
        strategy = state.strategy._replace(left=state.strategy.left - 1)
        deadline = state.now_ms + TIMEOUT_MS
        moving = strategy._replace(latest_ms=max(strategy.latest_ms, deadline), over=False)
        if strategy.over or not strategy.acked_ms:
            name = _unused(state, "s")
            call: What = ("arm", name)
            asked = state._replace(strategy=moving)

            def armed() -> World:
                answer, after = self._run(asked, call)
                if not isinstance(answer, tuple):
                    return after._replace(strategy=strategy)  # a former trip may yet cancel
                known = after.strategy._replace(holds=answer, acked_ms=deadline)
                return after._replace(strategy=known)

            yield "strategy: arm", armed, False
            yield "strategy: arm, given up", lambda: _given_up(asked, "arm", call), True
        if strategy.holds is None or strategy.over:
            return
        beat, disarm = ("beat", *strategy.holds), ("disarm", *strategy.holds)
        asked_beat = state._replace(strategy=moving)
        leaving = strategy._replace(acked_ms=0)
        asked_end = state._replace(strategy=leaving)

        def beaten() -> World:
            answer, after = self._run(asked_beat, beat)
            if answer == "armed":
                return after._replace(strategy=after.strategy._replace(acked_ms=deadline))
            return after._replace(strategy=strategy._replace(holds=None, acked_ms=0))

        def disarmed() -> World:
            answer, after = self._run(asked_end, disarm)
            ended = answer in ("armed", "disarmed", "replaced")
            return after._replace(
                strategy=leaving._replace(holds=None, over=ended, over_ms=state.now_ms)
            )

        yield "strategy: beat", beaten, False
        yield "strategy: beat, given up", lambda: _given_up(asked_beat, "beat", beat), True
        yield "strategy: disarm", disarmed, False
        yield "strategy: disarm, given up", lambda: _given_up(asked_end, "disarm", disarm), True

    def _worker(self, state: World, n: int) -> Iterator[Move]:
        call: What
        worker = state.workers[n]
        worker = worker._replace(left=worker.left - 1)
        name = f"worker {n + 1}"
        idle = _without(state, n, worker)
        if worker.at != "idle":
            yield f"{name}: dies", lambda: idle, True
        match worker.at:
            case "idle":
                call = ("claim", worker.holder)
                yield f"{name}: claim", lambda: self._claimed(state, n, worker), False
                yield f"{name}: claim, given up", lambda: _given_up(idle, "claim", call), True
            case "survey":
                yield f"{name}: survey", lambda: self._surveyed(state, n, worker), False
            case "launch":
                call = ("launch", worker)
                yield f"{name}: launch", lambda: self._launched(state, n, worker), False
                yield f"{name}: launch, given up", lambda: _given_up(idle, "launch", call), True
            case "send":
                yield from self._send(state, n, worker)
            case _:
                call = ("report", worker)
                yield f"{name}: report", lambda: self._run(idle, call)[1], False
                yield f"{name}: report, given up", lambda: _given_up(idle, "report", call), True

    def _claimed(self, state: World, n: int, worker: Worker) -> World:
        answer, after = self._run(state, ("claim", worker.holder))
        return _put(after, n, worker._replace(at="survey") if answer else worker)

    def _surveyed(self, state: World, n: int, worker: Worker) -> World:
        answer, after = self._run(state, ("survey",))
        assert isinstance(answer, tuple)
        now_ms, found = answer
        syncs = plan(found, now_ms=now_ms, max_pairs=50)
        if not syncs:
            return _put(after, n, worker._replace(at="release"))
        ((switch_id, epoch),) = syncs[0].members
        planned = worker._replace(at="launch", switch_id=switch_id, epoch=epoch, stop=syncs[0].stop)
        return _put(after, n, planned)

    def _launched(self, state: World, n: int, worker: Worker) -> World:
        launch, after = self._run(state, ("launch", worker))
        assert isinstance(launch, Launch)
        match launch.verdict:
            case "go":
                if after.strategy.over and not worker.stop:
                    after = after._replace(broken="leave to set a timer after a disarm")
                leave = worker._replace(
                    at="send", leave_ms=launch.now_ms, deadline_ms=launch.deadline_ms
                )
                return _put(after, n, leave)
            case "wait":
                release = Release(pause_ms=launch.wait_ms)
                return _put(after, n, worker._replace(at="release", release=release))
            case "stale":
                return _put(after, n, worker._replace(at="release"))
            case _:
                return _without(after, n, worker)

    def _send(self, state: World, n: int, worker: Worker) -> Iterator[Move]:
        name = f"worker {n + 1}"
        deferral = Release(
            failed=(worker.switch_id,), first_ms=BACKOFF_MS, longest_ms=BACKOFF_MAX_MS
        )
        if state.now_ms - worker.leave_ms > LAUNCH_MAX_MS:
            late = worker._replace(at="release", release=Release(pause_ms=BACKOFF_MS))
            yield f"{name}: leave is too old", lambda: _put(state, n, late), False
            return
        left_ms = 0
        if not worker.stop:
            left_ms = countdown_ms(worker.deadline_ms, state.now_ms, TRANSIT_MS)
        nonce = state.nonces + 1
        sent = state._replace(nonces=nonce)
        request = Request(nonce, left_ms, state.now_ms + FLIGHT_MS)
        fires_ms = state.now_ms + left_ms if left_ms else 0
        replied = worker._replace(at="release", fires_ms=fires_ms)
        lost = worker._replace(at="release", release=deferral)
        on_its_way = sent._replace(requests=(*sent.requests, request))
        what = f"{name}: send {left_ms} (nonce {nonce})"
        arrived = _arrives(on_its_way, request)
        refused = nonce < state.exchange.nonce
        answered = worker._replace(at="release") if refused else replied
        yield f"{what}, answered", lambda: _put(arrived, n, answered), False
        yield f"{what}, no reply yet", lambda: _put(on_its_way, n, lost), True

    def _late(self, state: World, call: Call) -> World:
        wire = list(state.wire)
        wire.remove(call)
        state = state._replace(wire=tuple(wire))
        try:
            return self._run(state, call.what, until_ms=call.until_ms)[1]
        except Late:
            return state

    def _run(
        self,
        state: World,
        call: What,
        *,
        until_ms: int | None = None,
    ) -> tuple[object, World]:
        """Run a script on a state; return its answer and what it leaves."""
        staged = self.staged
        staged.image, staged.now_ms = state.image, state.now_ms
        staged.until_ms = state.now_ms + VALID_MS if until_ms is None else until_ms
        staged.sent_ms = staged.until_ms - VALID_MS
        lane = SWITCH_LANE
        answer: object = None
        match call:
            case ("arm", str(name)):
                armed = self.switches.arm(
                    switch_id=name,
                    lane=LANE,
                    account=ALIAS,
                    native=True,
                    pairs=[PAIR],
                    order_ids=[],
                    timeout_ms=TIMEOUT_MS,
                    bell=(QUEUE, "urgent"),
                )
                answer = (armed.switch_id, armed.epoch) if armed.switch_id else None
            case ("beat", str(switch_id), int(epoch)):
                answer = self.switches.beat(switch_id, epoch, (QUEUE, "renewal")).state
            case ("disarm", str(switch_id), int(epoch)):
                answer = self.switches.disarm(switch_id, epoch, (QUEUE, "urgent"))
            case ("claim", str(holder)):
                claimed = self.ledger.claim(
                    exchange=EXCHANGE, holder=holder, lease_ms=10_000, lane=lane
                )
                answer = bool(claimed.tended)
            case ("survey",):
                answer = self.switches.survey(lane)
            case ("launch", Worker() as worker):
                answer = self.switches.launch(
                    lane=lane,
                    holder=worker.holder,
                    lease_ms=TEND_MS,
                    urgent=True,
                    flight_ms=FLIGHT_MS,
                    rules=(),
                    members=[(worker.switch_id, worker.epoch)],
                )
            case ("report", Worker() as worker):
                members = ((worker.switch_id, worker.epoch),)
                timers = Timers(worker.fires_ms, TRANSIT_MS, members)
                report = None if worker.fires_ms < 0 else Report(timers=timers)
                self.switches.report(lane, worker.holder, report, release=worker.release)
            case _:
                raise AssertionError(call)
        return answer, state._replace(image=staged.image)

    # What must hold.

    def check(self, state: World) -> str:
        """Return what is broken."""
        content = Content.read(state.image)
        strategy, exchange = state.strategy, state.exchange
        if state.broken:
            return state.broken
        if exchange.fires_ms > strategy.latest_ms:
            over = exchange.fires_ms - strategy.latest_ms
            return f"the exchange's timer fires {over} ms after any deadline that was asked for"
        records = [content.hash(name) for name in content.names("switch:") if name.count(":") == 1]
        for record in records:
            if broken := _believed(record, state):
                return broken
        if strategy.over and any(record["state"] == "armed" for record in records):
            return "armed after a disarm that was answered"
        if strategy.acked_ms and strategy.holds:
            record = content.hash(f"switch:{strategy.holds[0]}")
            if broken := _covered(record, state):
                return broken
        return self._ends(state)

    def _ends(self, state: World) -> str:
        """Let all die here, with nothing on its way: a worker then does what is promised."""
        state = state._replace(wire=(), requests=(), ticks=0, faults=0)
        worker = Worker("w99", "idle", 99)
        strategy = state.strategy._replace(left=0)
        state = state._replace(workers=(worker, worker), strategy=strategy)
        silent_ms = state.strategy.latest_ms
        passed: set[int] = set()
        for _ in range(60):
            if state.workers[0].at == "idle":
                # What follows from equal states is equal.
                here = hash((state.image, state.now_ms, state.exchange, state.strategy))
                if here in self._ended:
                    return ""
                passed.add(here)
            content = Content.read(state.image)
            at = content.zset("lanes").get(SWITCH_LANE)
            if at is None:
                break
            state = _tick(state, max(0, int(at) - state.now_ms))
            for _ in range(6):
                worker = state.workers[0]
                (_, move, _), *_ = (each for each in self._worker(state, 0) if not each[2])
                state = move()
                if state.workers[0].at == "idle":
                    break
            worker = state.workers[0]._replace(left=99)
            state = _put(state, 0, worker)
        else:
            return "the lane never comes to an end"
        state = _tick(state, max(0, silent_ms + 1 - state.now_ms))
        content = Content.read(state.image)
        if state.exchange.fires_ms:
            return "the exchange's timer runs after all has ended"
        if state.strategy.acked_ms:
            pending = content.hash(f"pending:{LANE}")
            if not any(PAIR in field for field in pending):
                return "the strategy is silent, and nobody cancels its orders"
        jobs = [content.hash(f"job:{job}") for job in content.hash(f"pending:{LANE}").values()]
        over_ms = state.strategy.over_ms
        if state.strategy.over and any(int(job["created_ms"]) > over_ms for job in jobs):
            return "disarmed, and its orders are being canceled"
        self._ended |= passed
        return ""


def _believed(record: dict[str, str], state: World) -> str:
    """Return whether the record says of the timer what is not so."""
    believed = int(record.get("fires_ms", "0"))
    if record["state"] != "armed" or "unsure" in record or believed <= state.now_ms:
        return ""
    if state.exchange.fires_ms < believed:
        return f"the record has a timer at {believed}, the exchange at {state.exchange.fires_ms}"
    return ""


def _covered(record: dict[str, str], state: World) -> str:
    """Return whether the strategy's last answered call does not hold."""
    acked_ms = state.strategy.acked_ms
    if record.get("state") == "armed":
        deadline = int(record["deadline_ms"])
        return "" if deadline >= acked_ms else "the deadline is earlier than was answered"
    if record.get("state") == "tripped":
        # A timer that may have fired counts as fired.
        fires_ms = int(record.get("fires_ms", "0")) or acked_ms
        early = int(record["tripped_ms"]) < min(acked_ms, fires_ms)
        return "tripped though it was beaten in time" if early else ""
    return f"the strategy was answered, and its switch is {record.get('state', 'gone')}"


def _arrives(state: World, request: Request) -> World:
    """Let a request arrive at the exchange now."""
    requests = tuple(other for other in state.requests if other != request)
    exchange = state.exchange
    if request.nonce > exchange.nonce:
        fires_ms = state.now_ms + request.left_ms if request.left_ms else 0
        exchange = exchange._replace(
            nonce=request.nonce,
            fires_ms=fires_ms,
        )
    return state._replace(requests=requests, exchange=exchange)


def _tick(state: World, ms: int) -> World:
    now = state.now_ms + ms
    exchange = state.exchange
    if 0 < exchange.fires_ms <= now:
        exchange = exchange._replace(fires_ms=0, fired_ms=exchange.fires_ms)
    return state._replace(
        now_ms=now,
        ticks=state.ticks - 1,
        exchange=exchange,
        wire=tuple(call for call in state.wire if call.until_ms > now),
        requests=tuple(request for request in state.requests if request.until_ms >= now),
    )


def _given_up(state: World, words: str, call: What) -> World:
    waited = words in ("arm", "beat", "disarm")
    late = Call(words, call, state.now_ms + VALID_MS, waited)
    return state._replace(wire=(*state.wire, late))


def _after(fault: Callable[[], World]) -> World:
    state = fault()
    return state._replace(faults=state.faults - 1)


def _put(state: World, n: int, worker: Worker) -> World:
    first, second = state.workers
    return state._replace(workers=(worker, second) if n == 0 else (first, worker))


def _without(state: World, n: int, worker: Worker) -> World:
    """Return a state in which a worker holds nothing, under a name that nothing knows."""
    idle = Worker("", "idle", worker.left)
    state = _put(state, n, idle)
    return _put(state, n, idle._replace(holder=_unused(state, "w")))


def _unused(state: World, stem: str) -> str:
    """Return the first name that is not in a state."""
    known = repr(state)
    return next(name for name in (f"{stem}{n:02}" for n in range(99)) if name not in known)


def _swap(image: bytes, first: str, second: str) -> bytes:
    one, two = first.encode(), second.encode()
    return image.replace(one, b"\0").replace(two, one).replace(b"\0", two)


def _renamed(call: Call, first: str, second: str) -> Call:
    names = {first: second, second: first}

    def other(part: object) -> object:
        if isinstance(part, str):
            return names.get(part, part)
        if isinstance(part, Worker):
            return part._replace(holder=names.get(part.holder, part.holder))
        return part

    return call._replace(what=tuple(other(part) for part in call.what))
