"""A switch that the exchange will not take, beside others that it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.reconcilers import KeeperAtWork, Keeping, stand
from worker.errors import NotSent
from worker.model.switches import Armed

BAD = "bad_idr"
GOOD = ("p0_idr", "p1_idr", "p2_idr")
T_MS = 10_000
SWEEP_MS = 80


@pytest.fixture
def keeping(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    """An empty Redis and a new exchange on one stepped time."""
    with stand(redis_url, monkeypatch) as keeping:
        yield keeping


def live(keeping: Keeping, worker: KeeperAtWork, held: list[Armed], *, for_ms: int) -> None:
    """Have strategies beat at half their timeout, and a worker sweep."""
    until = keeping.now_ms + for_ms
    beat_at = keeping.now_ms + T_MS // 2
    while keeping.now_ms < until:
        if keeping.now_ms >= beat_at:
            for armed in held:
                assert keeping.board.beat(armed).state == "armed"
            beat_at += T_MS // 2
        at = keeping.board.lane_ms()
        if at is not None and at <= keeping.now_ms:
            worker.tend()
        keeping.board.clock.advance(SWEEP_MS)


def attempts(keeping: Keeping) -> int:
    """Return how many requests named the bad pair."""
    return sum(BAD in arrival.pairs for arrival in keeping.countdowns())


@pytest.mark.parametrize("first", ["bad", "good"])
def test_one_that_is_refused_for_good_spoils_no_other(keeping: Keeping, first: str) -> None:
    """It is tried from time to time; all others are set and renewed, whatever the order."""
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    if first == "bad":
        bad = keeping.board.arm(pairs=[BAD], timeout_ms=T_MS)
        keeping.board.clock.advance(10)
    held = [keeping.board.arm(pairs=[pair], timeout_ms=T_MS) for pair in GOOD]
    if first == "good":
        keeping.board.clock.advance(10)
        bad = keeping.board.arm(pairs=[BAD], timeout_ms=T_MS)
    live(keeping, keeping.worker(), [*held, bad], for_ms=120_000)
    assert set(keeping.timers()) == set(GOOD)
    assert all(keeping.board.state(armed) == "armed" for armed in [*held, bad])
    assert keeping.board.fires_ms(bad) == 0
    assert 5 <= attempts(keeping) <= 20
    assert not [arrival for arrival in keeping.countdowns() if arrival.refusal == "rate"]


def test_a_pair_that_is_refused_spoils_no_other_of_its_switch(keeping: Keeping) -> None:
    """Its trade is halted after arming; the strategy beats, and nothing of it may trip."""
    armed = keeping.board.arm(pairs=[GOOD[0], BAD, *GOOD[1:]], timeout_ms=T_MS)
    worker = keeping.worker()
    live(keeping, worker, [armed], for_ms=T_MS + 1_000)
    assert set(keeping.timers()) == {BAD, *GOOD}
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    live(keeping, worker, [armed], for_ms=120_000)
    assert keeping.board.state(armed) == "armed"
    assert set(keeping.timers()) == set(GOOD)
    assert attempts(keeping) <= 10
    assert not [arrival for arrival in keeping.countdowns() if arrival.refusal == "rate"]


@pytest.mark.parametrize("named", [True, False])
def test_a_list_that_is_refused_repeatedly_is_put_off(keeping: Keeping, *, named: bool) -> None:
    """One refusal after another, or none that says why: it takes no slots from the others."""
    pairs = [f"b{n}_idr" for n in range(30)]
    if named:
        keeping.sim.set_option("indodax_disabled_pairs", pairs)
    else:
        keeping.sim.set_option("indodax_pairs", [*pairs[1:], *GOOD])
    bad = keeping.board.arm(pairs=pairs, timeout_ms=T_MS)
    held = [keeping.board.arm(pairs=[pair], timeout_ms=T_MS) for pair in GOOD]
    live(keeping, keeping.worker(), [*held, bad], for_ms=120_000)
    assert set(keeping.timers()) == set(GOOD)
    assert all(keeping.board.state(armed) == "armed" for armed in [*held, bad])
    assert sum("b1_idr" in arrival.pairs for arrival in keeping.countdowns()) <= 40
    assert not [arrival for arrival in keeping.countdowns() if arrival.refusal == "rate"]


def test_a_disarm_stops_the_others_and_continues_with_the_refused(keeping: Keeping) -> None:
    """Its timer runs, and would cancel what the strategy places there later."""
    timeout_ms = 60_000
    armed = keeping.board.arm(pairs=[BAD, *GOOD], timeout_ms=timeout_ms)
    worker = keeping.worker()
    keeping.settle_once(worker)
    assert set(keeping.timers()) == {BAD, *GOOD}
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    keeping.board.disarm(armed)
    for _ in range(3):
        keeping.settle_once(worker)
    assert set(keeping.timers()) == {BAD}
    assert keeping.board.due_ms(armed) is not None
    keeping.sim.set_option("indodax_disabled_pairs", [])
    until = keeping.now_ms + 12_000
    while keeping.timers() and keeping.now_ms < until:
        keeping.settle_once(worker)
    assert not keeping.timers()
    assert keeping.now_ms < until
    assert keeping.board.due_ms(armed) is None


def test_a_pair_that_was_refused_is_taken_again(keeping: Keeping) -> None:
    """After a while, or at once when its switch is armed again."""
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    armed = keeping.board.arm(pairs=[BAD, *GOOD], timeout_ms=T_MS)
    worker = keeping.worker()
    live(keeping, worker, [armed], for_ms=T_MS + 1_000)
    assert set(keeping.timers()) == set(GOOD)
    keeping.sim.set_option("indodax_disabled_pairs", [])
    live(keeping, worker, [armed], for_ms=41_000)
    assert set(keeping.timers()) == {BAD, *GOOD}
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    live(keeping, worker, [armed], for_ms=T_MS + 1_000)
    keeping.sim.set_option("indodax_disabled_pairs", [])
    anew = keeping.board.arm(pairs=[BAD, *GOOD], timeout_ms=T_MS)
    live(keeping, worker, [anew], for_ms=T_MS // 2 + 1_000)
    assert set(keeping.timers()) == {BAD, *GOOD}


def test_one_that_cannot_be_sent_spoils_no_other(keeping: Keeping) -> None:
    """A request that fails repeatedly is put off; it does not come before the others."""
    bad = keeping.board.arm(pairs=[BAD], timeout_ms=60_000)
    held = [keeping.board.arm(pairs=[pair], timeout_ms=T_MS) for pair in GOOD]
    tried: list[str] = []

    def hook(step: str) -> None:
        if step == "send":
            assert worker.transport.request is not None
            if BAD.encode() in worker.transport.request.body:
                tried.append(step)
                raise NotSent("not today")

    worker = keeping.worker(hook)
    live(keeping, worker, [*held, bad], for_ms=120_000)
    assert set(keeping.timers()) == set(GOOD)
    assert all(keeping.board.state(armed) == "armed" for armed in [*held, bad])
    assert 20 <= len(tried) <= 60


def test_what_was_refused_is_taken_as_soon_as_it_is_armed_again(keeping: Keeping) -> None:
    """A strategy that arms again does not wait for the pause of a former failure."""
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    keeping.board.arm(pairs=[BAD], timeout_ms=60_000)
    worker = keeping.worker()
    for _ in range(5):
        keeping.settle_once(worker)
    keeping.sim.set_option("indodax_disabled_pairs", [])
    assert not worker.tend()
    again = keeping.board.arm(pairs=[BAD], timeout_ms=60_000)
    assert worker.tend()
    assert keeping.timers() == {BAD: keeping.board.fires_ms(again)}


def test_a_stop_is_tried_at_once_though_its_timer_was_refused(keeping: Keeping) -> None:
    """Nor does a disarm wait for it."""
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    armed = keeping.board.arm(pairs=[BAD], timeout_ms=60_000)
    worker = keeping.worker()
    for _ in range(5):
        keeping.settle_once(worker)
    keeping.sim.set_option("indodax_disabled_pairs", [])
    keeping.board.disarm(armed)
    assert worker.tend()
    assert keeping.countdowns()[-1].countdown_ms == 0
    assert keeping.board.due_ms(armed) is None


def test_one_that_is_put_off_still_trips_in_time(keeping: Keeping) -> None:
    """The workers hold the deadline of what the exchange does not take."""
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    armed = keeping.board.arm(pairs=[BAD], timeout_ms=T_MS)
    worker = keeping.worker()
    while keeping.board.state(armed) == "armed":
        keeping.settle_once(worker)
    assert keeping.now_ms == armed.deadline_ms
    assert [job.pair for job in keeping.board.jobs()] == [BAD]


def test_those_that_were_refused_together_share_again(keeping: Keeping) -> None:
    """Only the one at fault goes alone once each has been tried by itself."""
    keeping.sim.set_option("indodax_disabled_pairs", [BAD])
    held = [keeping.board.arm(pairs=[pair], timeout_ms=T_MS) for pair in (BAD, *GOOD)]
    worker = keeping.worker()
    live(keeping, worker, held, for_ms=30_000)
    last = [set(arrival.pairs) for arrival in keeping.countdowns() if BAD not in arrival.pairs]
    assert last[-1] == set(GOOD)
