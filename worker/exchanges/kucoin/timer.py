"""KuCoin's "disconnection protect": the one timer of an account, with a list of pairs."""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import MINUTE_MS
from worker.exchanges.checks import PAIR
from worker.exchanges.replies import at
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import ReadTimer, SetCountdown
from worker.model.outcomes import CountdownSet, TimerReading

TIMER: Final = Timer(
    reach=Reach.LIST,
    pairs_max=50,
    unit_ms=1_000,
    shortest_ms=5_000,
    longest_ms=24 * 60 * MINUTE_MS,
    off=-1,
    fires_within_ms=10_000,
    leaves_stops=True,
    windowed=False,
    echoes=True,
    read_every_ms=10_000,
)
""""The order cancellation delay is between 0 and 10 seconds". Stop orders are not named."""
ECHO_SLACK_S: Final = 1


def read_timer(
    command: SetCountdown | ReadTimer, data: object
) -> CountdownSet | TimerReading | None:
    """Read what a reply states of the timer; None if it is not what was asked."""
    if isinstance(command, ReadTimer):
        return _reading(data)
    return CountdownSet() if _stands_at(data, command.countdown_ms) else None


def _stands_at(data: object, countdown_ms: int) -> bool:
    """Return whether the reply states the countdown that was asked for.

    What it states of a timer that was stopped is not documented: no later time.
    """
    now_s, fires_s = at(data, "currentTime"), at(data, "triggerTime")
    if type(now_s) is not int or type(fires_s) is not int:
        return not countdown_ms
    if not countdown_ms:
        return fires_s <= now_s
    return abs(fires_s - now_s - countdown_ms // 1_000) <= ECHO_SLACK_S


def _reading(data: object) -> TimerReading | None:
    """Read the account's timer: "If the data is empty, it means that DCP is not set."""
    if data is None or data == {}:
        return TimerReading(left_ms=0)
    if at(data, "timeout") == TIMER.off:
        return TimerReading(left_ms=0)
    now_s, fires_s, symbols = (at(data, key) for key in ("currentTime", "triggerTime", "symbols"))
    if type(now_s) is not int or type(fires_s) is not int:
        return None
    if not isinstance(symbols, str | None):
        return None
    pairs = tuple(pair for pair in (symbols or "").split(",") if pair)
    if not all(PAIR.fullmatch(pair) for pair in pairs):
        return None
    if fires_s <= now_s:
        return TimerReading(left_ms=0)
    return TimerReading(left_ms=(fires_s - now_s) * TIMER.unit_ms, pairs=pairs)
