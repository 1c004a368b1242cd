"""What an exchange says of its timer, compared with what was set: pure."""

from __future__ import annotations

import pytest

from worker.exchanges.timer import Reach, Timer
from worker.model.outcomes import TimerReading
from worker.model.timer_reads import TimerBelief
from worker.policy.timer_reads import difference

TIMER = Timer(reach=Reach.LIST, unit_ms=1_000)
NOW_MS, FIRES_MS, WAY_MS = 1_000_000, 1_030_000, 500
PAIRS = ("BTC-USDT", "ETH-USDT")
BELIEF = TimerBelief(NOW_MS, FIRES_MS, WAY_MS, PAIRS, (("s1", 1, NOW_MS),))
TOOK_MS = 200


def found(left_ms: int | None, *pairs: str) -> tuple[str, int]:
    """Compare a reading with what was set."""
    reading = TimerReading(left_ms=left_ms, pairs=pairs)
    return difference(TIMER, BELIEF, reading, took_ms=TOOK_MS)


@pytest.mark.parametrize("left_ms", [28_000, 29_000, 30_000, 31_000, 32_000, 32_500])
def test_a_reading_within_its_rounding_is_no_difference(left_ms: int) -> None:
    """Both of its moments are rounded down, and the question took a while."""
    assert found(left_ms, *PAIRS) == ("", 0)
    assert found(left_ms, "eth-usdt", "btc-usdt") == ("", 0)


def test_a_timer_that_is_gone_differs() -> None:
    """It fires never."""
    assert found(0) == ("it has none", 0)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ((), "every pair"),
        (("BTC-USDT",), "BTC-USDT"),
        (("BTC-USDT", "ETH-USDT", "XRP-USDT"), "BTC-USDT, ETH-USDT, XRP-USDT"),
        (("XRP-USDT", "LTC-USDT"), "XRP-USDT, LTC-USDT"),
    ],
)
def test_another_list_differs(pairs: tuple[str, ...], words: str) -> None:
    """Also one of every pair, which would cancel outside of the scope."""
    latest_ms = NOW_MS + TOOK_MS + 30_000 + 2_000
    assert found(30_000, *pairs) == (f"it is for {words} instead of BTC-USDT, ETH-USDT", latest_ms)


def test_another_moment_differs() -> None:
    """Later or earlier than set, beyond rounding and the way."""
    assert found(32_501, *PAIRS) == ("it fires 2001 ms later than set", 1_034_701)
    assert found(27_799, *PAIRS) == ("it fires 2001 ms earlier than set", 1_029_999)
    assert found(27_800, *PAIRS) == ("", 0)


@pytest.mark.parametrize("fires_ms", [0, NOW_MS, NOW_MS + TOOK_MS + 2_000])
def test_a_timer_that_fires_about_now_is_not_compared(fires_ms: int) -> None:
    """It may have fired when the exchange was asked; so may one that no switch has."""
    belief = TimerBelief(NOW_MS, fires_ms, WAY_MS, PAIRS)
    reading = TimerReading(left_ms=0)
    assert difference(TIMER, belief, reading, took_ms=TOOK_MS) == ("", 0)


def test_nothing_is_compared_with_an_exchange_that_does_not_say() -> None:
    """It says only whether it keeps a timer."""
    assert found(None) == ("", 0)
