"""What KuCoin's replies state of the account's timer, and which of them are believed."""

from __future__ import annotations

import pytest

from worker.exchanges.kucoin.timer import read_timer
from worker.model.commands import ReadTimer, SetCountdown
from worker.model.outcomes import CountdownSet, TimerReading

NOW_S = 1_700_000_000
SET, OFF = SetCountdown(("BTC-USDT",), 60_900), SetCountdown((), 0)
UNSET = TimerReading(left_ms=0)


def timer(fires_s: object, now_s: object = NOW_S, **other: object) -> dict[str, object]:
    """Build what a reply states."""
    return {"currentTime": now_s, "triggerTime": fires_s, **other}


@pytest.mark.parametrize(
    ("command", "data", "wanted"),
    [
        (SET, timer(NOW_S + 60), True),
        (SET, timer(NOW_S + 61), True),
        (SET, timer(NOW_S + 59), True),
        (SET, timer(NOW_S + 62), False),
        (SetCountdown((), 60_000), timer(NOW_S + 61), True),
        (SET, timer(NOW_S + 58), False),
        (SET, timer(str(NOW_S + 60)), False),
        (SET, timer(NOW_S + 60, None), False),
        (SET, None, False),
        (OFF, timer(NOW_S), True),
        (OFF, timer(NOW_S - 1), True),
        (OFF, timer(NOW_S + 1), False),
        (OFF, timer(None), True),
        (OFF, timer(NOW_S + 60, None), True),
        (OFF, None, True),
    ],
)
def test_a_countdown_is_held_against_both_times(
    command: SetCountdown,
    data: object,
    wanted: bool,  # noqa: FBT001
) -> None:
    """Within a second of whole seconds; a stopped timer has no later time."""
    assert read_timer(command, data) == (CountdownSet() if wanted else None)


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        (None, UNSET),
        ({}, UNSET),
        (timer(NOW_S + 60, timeout=-1, symbols="BTC-USDT"), UNSET),
        (timer(NOW_S, symbols="BTC-USDT"), UNSET),
        (timer(NOW_S - 1), UNSET),
        (timer(NOW_S + 1, timeout=5), TimerReading(left_ms=1_000)),
        (
            timer(NOW_S + 60, symbols="BTC-USDT,,ETH-USDT"),
            TimerReading(left_ms=60_000, pairs=("BTC-USDT", "ETH-USDT")),
        ),
        (timer(NOW_S + 60, symbols=None), TimerReading(left_ms=60_000)),
        (timer(NOW_S + 60, symbols=["BTC-USDT"]), None),
        (timer(NOW_S + 60, symbols="BTC-USDT,a b"), None),
        (timer(NOW_S, symbols="a b"), None),
        (timer(str(NOW_S + 60)), None),
        (timer(NOW_S + 60, str(NOW_S)), None),
        ([], None),
    ],
)
def test_a_timer_that_is_read(data: object, reading: TimerReading | None) -> None:
    """One that has fired or is off is not set; what cannot be read is no reading."""
    assert read_timer(ReadTimer(), data) == reading
