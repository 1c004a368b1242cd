"""A keeper held up, killed or misled at each of its steps, against the simulated exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.reconcilers import API_KEYS, Died, Keeping, stand
from tests.support.switchboard import TIMEOUT_MS
from worker.model.commands import SetCountdown
from worker.model.constants import TEND_MS
from worker.net import sockets

STEPS = ("survey", "launch", "launched", "nonce", "send", "replied", "release")
LAUNCH_MAX_MS = 500
BACKOFF_MS = 200
STALE_MS = 1_300
"""How long the exchange takes a countdown after its timestamp: what a call may take, and a
second by which clocks may differ."""
AHEAD_MS = 1_000
"""How far ahead of the exchange's a timestamp may be."""


@pytest.fixture
def keeping(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    """An empty Redis and a new exchange on one stepped time."""
    with stand(redis_url, monkeypatch) as keeping:
        yield keeping


def at(step: str, do: Callable[[], object]) -> Callable[[str], None]:
    """Return a hook that does something the first time a step is reached."""
    done: list[str] = []

    def hook(reached: str) -> None:
        if reached == step and not done:
            done.append(step)
            do()

    return hook


def die() -> None:
    """End the worker here."""
    raise Died


@pytest.mark.parametrize("alias", ["ix", "it"])
def test_a_slow_connection_makes_no_countdown_late(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch, alias: str
) -> None:
    """Connecting comes before the countdown is computed, and is no part of the way."""
    armed = keeping.board.arm(alias, pairs=["a_x"])
    connect, exchange = sockets.connect, urlsplit(keeping.sim.base_url()).port

    def slow(host: str, port: int, **options: Any) -> socket:
        if port == exchange:
            keeping.board.clock.advance(1_400)
        return connect(host, port, **options)

    monkeypatch.setattr(sockets, "connect", slow)
    assert keeping.worker().tend(alias)
    assert keeping.timers(alias) == {"a_x": armed.deadline_ms - 300}
    assert keeping.board.fires_ms(armed) == armed.deadline_ms - 300


@pytest.mark.parametrize("alias", ["ix", "it"])
def test_a_switch_is_set_renewed_and_stopped(keeping: Keeping, alias: str) -> None:
    """The exchange's timer follows the switch, never past its deadline."""
    armed = keeping.board.arm(alias, pairs=["a_x", "b_x"])
    assert keeping.worker().tend(alias)
    timers = keeping.timers(alias)
    assert timers == dict.fromkeys(("a_x", "b_x"), armed.deadline_ms - 300)
    assert keeping.board.fires_ms(armed) == armed.deadline_ms - 300
    keeping.board.clock.advance(TIMEOUT_MS // 2)
    keeping.board.beat(armed)
    assert keeping.worker().tend(alias)
    assert set(keeping.timers(alias).values()) == {keeping.now_ms + TIMEOUT_MS - 300}
    keeping.board.disarm(armed)
    assert keeping.worker().tend(alias)
    assert keeping.timers(alias) == {}
    assert [arrival.countdown_ms for arrival in keeping.countdowns(alias)] == [
        TIMEOUT_MS - 300,
        TIMEOUT_MS - 300,
        0,
    ]


@pytest.mark.parametrize(
    ("alias", "step"), [("ix", "launched"), ("ix", "nonce"), ("it", "launched")]
)
def test_a_leave_that_is_used_too_late_is_not(keeping: Keeping, step: str, alias: str) -> None:
    """Held up after its leave, a keeper sends nothing: the countdown was for that moment."""
    armed = keeping.board.arm(alias)
    held_up = at(step, lambda: keeping.board.clock.advance(LAUNCH_MAX_MS + 1))
    assert keeping.worker(held_up).tend(alias)
    assert not keeping.countdowns(alias)
    assert keeping.board.fires_ms(armed) == 0
    keeping.board.clock.advance(BACKOFF_MS)
    assert keeping.worker().tend(alias, "w2")
    (arrival,) = keeping.countdowns(alias)
    assert arrival.countdown_ms == armed.deadline_ms - keeping.now_ms - 300


@pytest.mark.parametrize("step", ["launched", "nonce"])
def test_what_a_leave_took_is_off_the_countdown(keeping: Keeping, step: str) -> None:
    """Redis was slow to answer: the timer still fires by the deadline, as it was set later."""
    armed = keeping.board.arm()
    held_up = at(step, lambda: keeping.board.clock.advance(LAUNCH_MAX_MS))
    assert keeping.worker(held_up).tend()
    assert keeping.timers() == {"btc_idr": armed.deadline_ms - 300}
    fires_ms = keeping.board.fires_ms(armed)
    assert fires_ms is not None
    assert armed.deadline_ms - 300 - LAUNCH_MAX_MS <= fires_ms <= armed.deadline_ms - 300


def test_a_way_longer_than_allowed_is_made_good(keeping: Keeping) -> None:
    """A timer that was set so late that it outlives the deadline is set again at once."""
    armed = keeping.board.arm(timeout_ms=60_000)

    def hook(step: str) -> None:
        if step == "send":
            keeping.board.clock.advance(900)

    worker = keeping.worker(hook)
    assert worker.tend()
    assert keeping.timers() == {"btc_idr": armed.deadline_ms + 600}
    assert keeping.board.fires_ms(armed) == 0
    assert worker.tend()
    assert keeping.timers()["btc_idr"] <= armed.deadline_ms
    assert keeping.board.fires_ms(armed) == armed.deadline_ms - 1_125
    assert not worker.tend()


def test_a_timer_fires_with_the_first_of_its_parts(keeping: Keeping) -> None:
    """A beat between two parts of a long list moves only the later ones on."""
    armed = keeping.board.arm(pairs=[f"p{n:03}_idr" for n in range(60)])

    def beat() -> None:
        keeping.board.clock.advance(100)
        keeping.board.beat(armed)

    assert keeping.worker(at("replied", beat)).tend()
    assert sorted(set(keeping.timers().values())) == [
        armed.deadline_ms - 300,
        armed.deadline_ms - 200,
    ]
    assert keeping.board.fires_ms(armed) == armed.deadline_ms - 300


@pytest.mark.parametrize("step", ["launched", "send"])
@pytest.mark.parametrize("alias", ["ix", "it"])
def test_one_who_was_frozen_before_sending_does_not_undo_a_disarm(
    keeping: Keeping, alias: str, step: str
) -> None:
    """Frozen after its leave, it wakes when another has stopped the timer."""
    armed = keeping.board.arm(alias)

    def meanwhile() -> None:
        keeping.board.clock.advance(10_000)
        keeping.board.disarm(armed)
        assert keeping.worker().tend(alias, "w2")

    keeping.worker(at(step, meanwhile)).tend(alias)
    stop, *late = keeping.countdowns(alias)
    assert stop.countdown_ms == 0
    # Past the last look nothing holds it back but what it was stamped with.
    refusals = ["nonce" if alias == "ix" else "timestamp"] if step == "send" else []
    assert [arrival.refusal for arrival in late] == refusals
    assert keeping.timers(alias) == {}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step(keeping: Keeping, step: str) -> None:
    """Whatever a keeper had done, another brings the exchange in line after the hold."""
    armed = keeping.board.arm()
    with pytest.raises(Died):
        keeping.worker(at(step, die)).tend()
    held = not keeping.worker().tend(holder="w2")
    assert held
    keeping.board.clock.advance(TEND_MS)
    keeping.board.beat(armed)
    keeping.settle()
    assert keeping.timers() == {"btc_idr": keeping.board.fires_ms(armed)}
    keeping.board.disarm(armed)
    keeping.settle()
    assert keeping.timers() == {}


@pytest.mark.parametrize("step", ["send", "replied", "release"])
def test_a_request_of_the_dead_cannot_overtake(keeping: Keeping, step: str) -> None:
    """A request without a nonce may arrive while its timestamp is good: none sends until then."""
    armed = keeping.board.arm("it")
    with pytest.raises(Died):
        keeping.worker(at(step, die)).tend("it")
    keeping.board.disarm(armed)
    seen = len(keeping.countdowns("it"))
    keeping.board.clock.advance(STALE_MS + AHEAD_MS)
    keeping.worker().tend("it", "w2")
    assert len(keeping.countdowns("it")) == seen
    keeping.board.clock.advance(LAUNCH_MAX_MS)
    assert keeping.worker().tend("it", "w2")
    assert keeping.timers("it") == {}


def test_who_sends_nothing_does_not_end_the_quiet(keeping: Keeping) -> None:
    """A set is lost on its way; a stop waits for it, however often the lane is called to."""
    armed = keeping.board.arm("it", timeout_ms=60_000)
    keeping.sim.fault_next("drop_before", exchange="indodax")
    assert keeping.worker().tend("it")
    seen = len(keeping.countdowns("it"))
    other = keeping.board.arm("it", pairs=["eth_idr"], timeout_ms=60_000)
    keeping.board.disarm(armed)
    assert keeping.worker().tend("it", "w2"), "called to, and nothing may be sent"
    keeping.board.disarm(other)
    assert keeping.worker().tend("it", "w3"), "called to once more"
    assert len(keeping.countdowns("it")) == seen
    keeping.board.clock.advance(STALE_MS + AHEAD_MS + LAUNCH_MAX_MS)
    keeping.settle("it")
    assert keeping.timers("it") == {}


def test_a_deadline_is_kept_while_a_lost_request_may_yet_arrive(keeping: Keeping) -> None:
    """Nothing may be sent to the exchange; but what runs out by then is tripped in time."""
    armed = keeping.board.arm("it", timeout_ms=2_000)
    keeping.sim.fault_next("drop_before", exchange="indodax")
    worker = keeping.worker()
    while keeping.board.state(armed) == "armed":
        keeping.settle_once(worker, "it")
    assert keeping.now_ms == armed.deadline_ms
    assert [job.pair for job in keeping.board.jobs("it")] == ["btc_idr"]
    assert len(keeping.countdowns("it")) == 1


def test_a_shorter_deadline_after_a_lost_reply(keeping: Keeping) -> None:
    """It is unknown when the timer fires: it is set for the new deadline in any case."""
    armed = keeping.board.arm(timeout_ms=20_000)
    assert keeping.worker().tend()
    keeping.board.clock.advance(6_000)
    keeping.board.beat(armed)
    keeping.sim.fault_next("accept_then_drop", exchange="indodax")
    assert keeping.worker().tend()
    shorter = keeping.board.arm(timeout_ms=14_000)
    keeping.settle()
    assert keeping.timers()["btc_idr"] <= shorter.deadline_ms


@pytest.mark.parametrize("fault", ["drop_before", "accept_then_drop"])
@pytest.mark.parametrize("alias", ["ix", "it"])
def test_a_lost_reply(keeping: Keeping, alias: str, fault: str) -> None:
    """Sent again: at once by nonces, which keep the order, else when the first is too old."""
    armed = keeping.board.arm(alias)
    keeping.sim.fault_next(fault, exchange="indodax")
    took_ms = keeping.settle(alias)
    if alias == "ix":
        assert took_ms <= 1_000
    else:
        assert STALE_MS + AHEAD_MS <= took_ms <= STALE_MS + AHEAD_MS + 1_000
    assert keeping.timers(alias) == {"btc_idr": keeping.board.fires_ms(armed)}
    assert keeping.timers(alias)["btc_idr"] <= armed.deadline_ms


@pytest.mark.parametrize("skew_ms", [-1_500, -60_000, 6_000, 60_000])
def test_a_clock_that_the_exchange_refuses_is_corrected(keeping: Keeping, skew_ms: int) -> None:
    """A timestamp too far off is refused once, and the next one is right, soon after."""
    keeping.sim.set_clock_skew(skew_ms)
    armed = keeping.board.arm("it")
    assert keeping.settle("it") <= 500
    refusals = [arrival.refusal for arrival in keeping.countdowns("it")]
    assert refusals == ["timestamp", None]
    assert keeping.timers("it") == {"btc_idr": keeping.board.fires_ms(armed)}


def test_a_refused_nonce_is_corrected(keeping: Keeping) -> None:
    """When the exchange has seen higher nonces, the sequence is raised above them at once."""
    keeping.sim.set_nonce(API_KEYS["ix"], 17 * 10**16)
    armed = keeping.board.arm()
    assert keeping.settle() == 0
    assert [arrival.refusal for arrival in keeping.countdowns()] == ["nonce", None]
    assert keeping.timers() == {"btc_idr": keeping.board.fires_ms(armed)}


def test_a_long_list_of_pairs_counts_each_request(keeping: Keeping) -> None:
    """A switch with more pairs than a request takes is several requests, and several slots."""
    armed = keeping.board.arm(pairs=[f"p{n:03}_idr" for n in range(120)])
    assert keeping.worker().tend()
    assert [len(arrival.pairs) for arrival in keeping.countdowns()] == [50, 50, 20]
    assert len(keeping.timers()) == 120
    assert keeping.board.fires_ms(armed) == armed.deadline_ms - 300
    (key,) = [
        str(name)
        for name in keeping.board.client.keys("cx:limit:*countdown*")  # type: ignore[union-attr]
        if keeping.board.client.type(name) == "zset"
    ]
    assert keeping.board.client.zcard(key) == 3


LONG = [f"p{n:03}_idr" for n in range(60)]


def test_a_long_list_is_renewed_while_its_strategy_beats(keeping: Keeping) -> None:
    """Each of its parts goes once, as for others' renewals, in no hurry."""
    armed = keeping.board.arm(pairs=LONG, timeout_ms=120_000)
    keeping.settle()
    for n in range(2, 10):
        keeping.board.clock.advance(40_000)
        beaten = keeping.board.beat(armed)
        assert beaten.state == "armed"
        keeping.settle()
        assert len(keeping.countdowns()) == 2 * n
        assert keeping.board.fires_ms(armed) == min(keeping.timers().values())
        assert keeping.board.fires_ms(armed) == keeping.now_ms - 1_000 + 120_000 - 300


def test_a_long_list_leaves_others_their_turn(keeping: Keeping) -> None:
    """It takes more than half of all slots, and the others' timers are renewed all the same."""
    long = keeping.board.arm(pairs=[f"p{n:03}_idr" for n in range(101)], timeout_ms=24_000)
    short = keeping.board.arm(pairs=["x_idr"], timeout_ms=40_000)
    worker = keeping.worker()
    for _ in range(120):
        if worker.tend() and keeping.board.lane_ms("ix") == keeping.now_ms:
            worker.tend()
        keeping.board.clock.advance(1_000)
        assert keeping.board.beat(long).state == "armed"
        assert keeping.board.beat(short).state == "armed"


def test_a_deadline_moved_closer_between_the_parts_of_a_long_list(keeping: Keeping) -> None:
    """The timers of the first parts do not outlive it."""
    keeping.board.arm(pairs=LONG, timeout_ms=120_000)
    closer: list[int] = []

    def hook(step: str) -> None:
        if step == "replied" and not closer:
            touched = keeping.board.arm(pairs=LONG, timeout_ms=60_000, mode="touch")
            closer.append(touched.deadline_ms)

    keeping.worker(hook).tend()
    keeping.settle()
    assert len(keeping.timers()) == len(LONG)
    assert max(keeping.timers().values()) <= closer[0]


@pytest.mark.parametrize("change", ["arm", "beat", "disarm"])
def test_a_long_list_continues_where_the_slots_ran_out(keeping: Keeping, change: str) -> None:
    """Where each free slot is one part's, the next is the next part's, and all get done."""
    armed = keeping.board.arm(pairs=LONG, timeout_ms=120_000)
    worker = keeping.worker()
    if change != "arm":
        assert worker.tend()
        keeping.board.clock.advance(40_000)
    if change == "beat":
        keeping.board.beat(armed)
    elif change == "disarm":
        keeping.board.disarm(armed)
    seen = len(keeping.countdowns())
    (rule,) = keeping.lanes()["ix"].rules_for(SetCountdown(("p_idr",), 1))
    others = {f"other{n}": keeping.now_ms - 9_000 + 1_000 * n for n in range(10)}
    keeping.board.client.zadd(f"cx:limit:{rule.key}", others)
    for _ in range(9):
        worker.tend()
        if len(keeping.countdowns()) == seen + 2:
            break
        keeping.board.clock.set(max(keeping.now_ms, round(keeping.board.lane_ms("ix") or 0)))
    sent = [arrival.pairs for arrival in keeping.countdowns()[seen:]]
    assert sent == [tuple(LONG[:50]), tuple(LONG[50:])]
    if change == "disarm":
        assert keeping.timers() == {}
        assert keeping.board.state(armed) == "disarmed"
    else:
        assert keeping.board.fires_ms(armed) == min(keeping.timers().values())
        record = keeping.board.switches.get(armed.switch_id)
        assert record is not None
        assert max(keeping.timers().values()) <= record.deadline_ms


def test_disarmed_between_the_parts_of_a_long_list(keeping: Keeping) -> None:
    """What was set in part is stopped whole."""
    armed = keeping.board.arm(pairs=[f"p{n:03}_idr" for n in range(120)])
    sends: list[str] = []

    def hook(step: str) -> None:
        sends.append(step)
        if sends.count("send") == 2 and step == "replied":
            keeping.board.disarm(armed)

    keeping.worker(hook).tend()
    keeping.settle()
    assert keeping.timers() == {}
    assert [arrival.countdown_ms == 0 for arrival in keeping.countdowns()] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_a_deadline_moved_closer_moves_the_timer(keeping: Keeping) -> None:
    """Armed again with a shorter timeout, even while the longer one is under way."""
    keeping.board.arm(timeout_ms=60_000)
    later = []
    hook = at("replied", lambda: later.append(keeping.board.arm(timeout_ms=5_000, mode="touch")))
    keeping.worker(hook).tend()
    keeping.settle()
    (armed,) = later
    assert keeping.timers()["btc_idr"] <= armed.deadline_ms
    shorter = keeping.board.arm(timeout_ms=3_000)
    keeping.settle()
    assert keeping.timers()["btc_idr"] <= shorter.deadline_ms


def test_a_timer_without_time_left_is_set_and_not_stopped(keeping: Keeping) -> None:
    """With less left than the way may take, the countdown is 1 and not 0."""
    armed = keeping.board.arm()
    keeping.board.clock.advance(TIMEOUT_MS - 100)
    assert keeping.worker().tend()
    (arrival,) = keeping.countdowns()
    assert arrival.countdown_ms == 1
    assert keeping.board.fires_ms(armed) == keeping.now_ms + 1
