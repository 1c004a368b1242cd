"""What a worker reports to Redis of a countdown request, and how few calls a renewal takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.support.reconcilers import Died, Hook, Keeping, stand
from tests.support.switchboard import TIMEOUT_MS
from worker.errors import NotSent, ReplyLost
from worker.model.commands import SetCountdown

LONG = [f"p{n:03}_idr" for n in range(120)]
CALL_MS = 300
LAUNCH_MAX_MS = 500
MARK = "end of the turn"
RENEWAL = ["claim", "survey", "launch", "nonce", "report"]


@pytest.fixture
def keeping(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    """An empty Redis and a new exchange on one stepped time."""
    with stand(redis_url, monkeypatch) as keeping:
        yield keeping


def calls(keeping: Keeping, turn: Callable[[], object]) -> list[str]:
    """Return what workers send to Redis during a turn: scripts by name, others by their text."""
    store = keeping.board.clock.store()
    names = {store.sha(name): name for name in RENEWAL}
    client: redis.Redis = keeping.board.client
    seen: list[str] = []
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        turn()
        client.echo(MARK)
        for command in monitor.listen():
            if MARK in command["command"]:
                return seen
            if command["client_type"] != "lua":
                verb, _, rest = command["command"].partition(" ")
                seen.append(names.get(rest.partition(" ")[0], "?") if verb == "EVALSHA" else verb)
    raise AssertionError(seen)


@pytest.mark.parametrize("alias", ["ix", "it"])
def test_a_renewal_takes_at_most_five_redis_calls(keeping: Keeping, alias: str) -> None:
    """Claim, survey, leave, nonce where there is one, and one report of all that is known."""
    armed = keeping.board.arm(alias)
    worker = keeping.worker()
    assert worker.tend(alias)
    keeping.board.clock.advance(TIMEOUT_MS // 2)
    keeping.board.beat(armed)
    made = calls(keeping, lambda: worker.tend(alias))
    assert made == [name for name in RENEWAL if alias == "ix" or name != "nonce"]
    assert keeping.board.fires_ms(armed) == keeping.now_ms + TIMEOUT_MS - CALL_MS
    assert not keeping.board.out_of_line(alias)


def test_a_turn_without_a_request_takes_three(keeping: Keeping) -> None:
    """Where the exchange cannot be reached, nothing is asked for but the lane's state."""
    keeping.board.arm()
    worker = keeping.worker()
    assert worker.tend()
    keeping.board.arm(pairs=["b_x"])
    keeping.sim.stop()
    assert calls(keeping, worker.tend)[-3:] == ["claim", "survey", "report"]


def test_each_further_request_of_a_turn_takes_three(keeping: Keeping) -> None:
    """What is known of one is reported before the next has leave."""
    keeping.board.arm(pairs=LONG)
    worker = keeping.worker()
    assert worker.tend()
    keeping.board.clock.advance(TIMEOUT_MS // 2)
    keeping.board.arm(pairs=LONG)
    made = calls(keeping, worker.tend)
    assert made == ["claim", "survey", *["launch", "nonce", "report"] * 3]


def raises(error: BaseException) -> Callable[[], None]:
    """Return what raises an error."""

    def fail() -> None:
        raise error

    return fail


def at(keeping: Keeping, step: str, do: Callable[[], object] | None, late_ms: int = 0) -> Hook:
    """Return a hook that does something, or lets time pass, at a step."""

    def hook(reached: str) -> None:
        if reached == step:
            keeping.board.clock.advance(late_ms)
            if do is not None:
                do()

    return hook


FLIGHT_MS = LAUNCH_MAX_MS + CALL_MS
SLOTS = {
    "answered": ("replied", None, 40, 40),
    "it never left": ("send", raises(NotSent("the network is down")), 40, None),
    "it was too late to be sent": ("nonce", None, LAUNCH_MAX_MS + 1, None),
    "no reply": ("replied", raises(ReplyLost("the network is down")), 40, FLIGHT_MS),
    "its worker died": ("replied", raises(Died()), 40, FLIGHT_MS),
}
"""Of a request: the step at which something happens, what, the ms before, and the ms after
its leave at which its rate slot counts as used; None if it is free."""


@pytest.mark.parametrize("fate", SLOTS)
def test_a_rate_slot_counts_as_the_fate_of_its_request_has_it(keeping: Keeping, fate: str) -> None:
    """Used when the reply came, free if nothing left, used at the latest arrival if unknown."""
    step, do, late_ms, used_ms = SLOTS[fate]
    keeping.board.arm()
    begun_ms = keeping.now_ms
    try:
        assert keeping.worker(at(keeping, step, do, late_ms)).tend()
    except Died:
        assert fate == "its worker died"
    (rule,) = keeping.lanes()["ix"].rules_for(SetCountdown((), 0))
    slots = keeping.board.client.zrange(f"cx:limit:{rule.key}", 0, -1, withscores=True)
    assert [at_ms for _, at_ms in slots] == ([] if used_ms is None else [begun_ms + used_ms])  # type: ignore[union-attr]


def test_a_slot_is_reported_by_one_who_has_lost_the_lane(keeping: Keeping) -> None:
    """Its request has arrived, whichever worker holds the lane now; its timer no longer counts."""
    armed = keeping.board.arm()
    hook = at(keeping, "release", None, 5_000)
    assert keeping.worker(hook).tend()
    (rule,) = keeping.lanes()["ix"].rules_for(SetCountdown((), 0))
    slots = keeping.board.client.zrange(f"cx:limit:{rule.key}", 0, -1, withscores=True)
    assert [at_ms for _, at_ms in slots] == [keeping.now_ms]  # type: ignore[union-attr]
    assert keeping.board.fires_ms(armed) == 0


@pytest.mark.parametrize("nth", [1, 2])
def test_killed_before_the_report_of_a_part(keeping: Keeping, nth: int) -> None:
    """A long list is set whole by the next worker, however many of its parts were sent."""
    armed = keeping.board.arm(pairs=LONG, timeout_ms=60_000)
    reports: list[str] = []

    def hook(step: str) -> None:
        if step == "report":
            reports.append(step)
            if len(reports) == nth:
                raise Died

    with pytest.raises(Died):
        keeping.worker(hook).tend()
    assert keeping.board.fires_ms(armed) == 0
    keeping.board.clock.advance(5_000)
    keeping.settle()
    assert len(keeping.timers()) == len(LONG)
    assert keeping.board.fires_ms(armed) == min(keeping.timers().values())
