"""How switches are shown, and the loop that beats in a strategy's place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from worker import clock
from worker.cli.beating import keep_beating
from worker.cli.commands.switches import HEADERS, row
from worker.cli.demo.silence import check_delay
from worker.cli.demo.stage import NotShown
from worker.cli.errors import INTERRUPTED, MISUSED, CliError, explain
from worker.client.producer import Producer
from worker.client.switch import Beat, Switch
from worker.errors import (
    StoreUnavailable,
    SwitchDisarmed,
    SwitchError,
    SwitchReplaced,
    SwitchTripped,
    SwitchUnknown,
)
from worker.model.switches import SwitchRecord, SwitchState

NOW_MS = 1_795_000_000_000
NATIVE = SwitchRecord(
    id="abc",
    account="ix",
    lane="indodax:ix",
    pairs=("btc_idr", "eth_idr"),
    order_ids=(),
    timeout_ms=30_000,
    deadline_ms=NOW_MS + 20_000,
    epoch=3,
    state=SwitchState.ARMED,
    beat_ms=NOW_MS - 10_000,
    fires_ms=NOW_MS + 15_000,
    synced_ms=NOW_MS - 12_000,
    tripped_ms=None,
)
EMULATED = replace(NATIVE, lane="everstrike:ev", account="ev", fires_ms=None, synced_ms=None)
ENDED = replace(NATIVE, state=SwitchState.DISARMED, fires_ms=0)


@pytest.mark.parametrize(
    ("record", "left", "sync", "timer"),
    [
        (NATIVE, "20s", "12s", "in 15s"),
        (replace(NATIVE, fires_ms=0, synced_ms=None), "20s", "-", "not yet"),
        (replace(NATIVE, changed_ms=NOW_MS - 9_000), "20s", "12s", "in 15s, changed 9s ago"),
        (replace(NATIVE, changed_ms=NOW_MS - 600_001), "20s", "12s", "in 15s"),
        (
            replace(NATIVE, fires_ms=0, changed_ms=NOW_MS - 1_000),
            *("20s", "12s", "not yet, changed 1s ago"),
        ),
        (EMULATED, "20s", "-", "by workers"),
        (replace(EMULATED, deadline_ms=NOW_MS - 3_000), "late 3s", "-", "by workers"),
        (replace(NATIVE, state=SwitchState.TRIPPED), "-", "12s", "-"),
        (replace(EMULATED, state=SwitchState.TRIPPED), "-", "-", "-"),
        (replace(NATIVE, state=SwitchState.DISARMED), "-", "12s", "stopping"),
        (ENDED, "-", "12s", "-"),
    ],
)
def test_a_row_shows_the_state(record: SwitchRecord, left: str, sync: str, timer: str) -> None:
    """Time left, last sync and who holds the deadline; nothing that is over."""
    shown = dict(zip(HEADERS, row(record, NOW_MS), strict=True))
    assert (shown["LEFT"], shown["SYNC"], shown["TIMER"]) == (left, sync, timer)
    assert (shown["BEAT"], shown["EPOCH"], shown["STATE"]) == ("10s", 3, record.state)


def test_a_long_scope_is_cut() -> None:
    """It says how many more there are."""
    many = replace(EMULATED, pairs=("btc_idr",), order_ids=tuple(f"a{n}" for n in range(9)))
    assert row(many, NOW_MS)[3] == "btc_idr a0 a1 a2 +6"


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (SwitchTripped("gone"), "cancel-worker jobs"),
        (SwitchReplaced("gone"), "arm the same scope"),
        (SwitchDisarmed("gone"), "arm the same scope"),
        (SwitchUnknown("gone"), "cancel-worker switches"),
    ],
)
def test_every_end_of_a_switch_names_its_fix(error: SwitchError, mend: str) -> None:
    """Exit code 1, whatever it was."""
    line, code = explain(error)
    assert line.startswith("gone; ")
    assert mend in line
    assert code == 1


class Hand:
    """A switch whose beats have the given results."""

    def __init__(self, *answers: Beat | Exception, record: SwitchRecord | None = NATIVE) -> None:
        self.id, self.epoch = "abc", 0
        self.epochs: list[int] = []
        self._answers = iter(answers)
        self._record = record

    def switch(self, _switch_id: str, *, epoch: int = 0) -> Hand:
        """Return itself, as the producer does for that epoch."""
        self.epoch = epoch
        return self

    def record(self) -> SwitchRecord | None:
        """Return its state."""
        return self._record

    def beat(self) -> Beat:
        """Beat; Ctrl-C when there is no more to come."""
        self.epochs.append(self.epoch)
        answer = next(self._answers, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        return answer


IN_TIME, LATE = Beat(30_000, in_time=True), Beat(30_000, in_time=False)
AWAY = StoreUnavailable("Redis did not answer (TimeoutError)")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no time pass; return what was waited for."""
    waited: list[float] = []
    monkeypatch.setattr(clock, "sleep_ms", waited.append)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: sum(waited))
    return waited


def keep(hand: Hand, every_ms: float = 5_000) -> None:
    """Beat with that hand."""
    producer, switch = cast("Producer", cast("Any", hand)), cast("Switch", cast("Any", hand))
    keep_beating(producer, switch, every_ms=every_ms)


def interrupted(hand: Hand) -> str:
    """Beat with that hand until Ctrl-C; return the error."""
    with pytest.raises(CliError) as told:
        keep(hand)
    assert told.value.code == INTERRUPTED
    return str(told.value)


def test_it_beats_for_one_epoch_until_ctrl_c(
    pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each change is printed once, and at the end what follows from it."""
    hand = Hand(LATE, LATE, IN_TIME, IN_TIME)
    last = interrupted(hand)
    assert pauses == [5_000] * 4
    assert set(hand.epochs) == {NATIVE.epoch}
    told = capsys.readouterr()
    assert told.err == ""
    first, second = told.out.splitlines()
    assert first.startswith("30s left, not in time: no worker")
    assert second == "30s left, in time"
    assert (
        "the switch trips within 30s unless another heartbeat comes: `cancel-worker disarm abc`"
        in last
    )


def test_redis_being_down_does_not_end_it(
    pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so once, and when beats count again."""
    interrupted(Hand(IN_TIME, AWAY, AWAY, AWAY, IN_TIME))
    assert len(pauses) == 5
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "Redis did not answer (TimeoutError) at" in told.err
    assert told.out.splitlines() == ["30s left, in time"] * 2


@pytest.mark.usefixtures("pauses")
def test_an_end_of_the_switch_is_raised() -> None:
    """At once, and at the first beat as well as at a later one."""
    with pytest.raises(SwitchReplaced):
        keep(Hand(IN_TIME, SwitchReplaced("gone")))
    with pytest.raises(SwitchTripped):
        keep(Hand(SwitchTripped("gone")))
    with pytest.raises(SwitchUnknown):
        keep(Hand(record=None))
    with pytest.raises(StoreUnavailable):
        keep(Hand(AWAY))


def test_beats_that_would_not_hold_it_are_refused() -> None:
    """Before the first one; half the timeout is enough."""
    hand = Hand(IN_TIME)
    with pytest.raises(CliError, match=r"too long for a timeout of 30s: give at most 15") as told:
        keep(hand, every_ms=15_001)
    assert told.value.code == MISUSED
    assert hand.epochs == []


def test_the_demo_holds_times_against_the_promise() -> None:
    """Too early is as bad as too late."""
    check_delay(-500, 300, early_ms=500, late_ms=300)
    for first_ms, last_ms in ((-501, 0), (0, 301), (400, 500), (-900, -800)):
        with pytest.raises(NotShown, match="instead of -500 to 300"):
            check_delay(first_ms, last_ms, early_ms=500, late_ms=300)
