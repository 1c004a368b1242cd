"""An exchange's own countdown, as data.

A timer is used only where it reaches no more than the scope of a switch. Everything else
about it is a figure: what it counts in, how short and how long it may be, what stops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.model.constants import FIRED_MS


class Reach(StrEnum):
    """Whose orders one timer cancels."""

    PAIRS = "pairs"
    """Each pair that is named has a timer of its own."""
    LIST = "list"
    """One timer of the account has a list of pairs, and each call overwrites both. Without a
    list it is for every pair."""
    ACCOUNT = "account"
    """One timer cancels every order of the account; no pair can be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """An exchange's countdown.

    Attributes:
        reach: Whose orders it cancels.
        pairs_max: Most pairs in one `SetCountdown`; of a `LIST`, in the whole list.
        unit_ms: What the exchange counts in. A countdown is rounded down to it.
        shortest_ms: Shortest countdown that the exchange takes; 0 if no bound is known.
        longest_ms: Longest countdown that it takes; 0 if no bound is known.
        off: What stops it, as the exchange writes it.
        one_shot: It fires once and is then off. One that continues would also cancel
            orders that are placed after it has fired, so workers hold the deadline.
        fires_within_ms: How long the exchange takes to cancel the orders once it fires.
        leaves_stops: It does not reach stop orders, or is not known to.
        leaves_others: It is not known to reach orders on some of the exchange's markets.
        windowed: A request says for how long the exchange may accept it.
        absolute: A request names the moment at which it fires, by the exchange's clock. As far
            as that may differ from ours, the timer is set to fire earlier.
        firings_max: How often it fires in a day (UTC); 0 if no bound is known. After that
            workers hold the deadline.
        echoes: A reply states what was set, and the adapter compares it.
        read_every_ms: How often workers read it, with `ReadTimer`; 0 if it cannot be read.
        conditional: It is kept for some accounts only, and a reading says for which.
    """

    reach: Reach = Reach.PAIRS
    pairs_max: int = 50
    unit_ms: int = 1
    shortest_ms: int = 0
    longest_ms: int = 0
    off: int = 0
    one_shot: bool = True
    fires_within_ms: int = FIRED_MS
    leaves_stops: bool = False
    leaves_others: bool = False
    windowed: bool = True
    absolute: bool = False
    firings_max: int = 0
    echoes: bool = False
    read_every_ms: int = 0
    conditional: bool = False

    @property
    def least_ms(self) -> int:
        """Least time until a deadline with which the timer can be set; 0 for any."""
        return max(self.shortest_ms, self.unit_ms if self.unit_ms > 1 else 0)

    def setting_ms(self, left_ms: int) -> int:
        """Return what to set the timer to so that it fires within `left_ms`.

        Rounded down to its unit. 0 if it cannot be set to anything as short; then no
        request may be sent, as it could stop the timer.
        """
        bounded_ms = min(left_ms, self.longest_ms or left_ms)
        setting_ms = bounded_ms // self.unit_ms * self.unit_ms
        return setting_ms if setting_ms >= max(1, self.shortest_ms) else 0

    def written(self, countdown_ms: int) -> int:
        """Return a setting in the exchange's unit; what stops the timer for 0."""
        return countdown_ms // self.unit_ms if countdown_ms else self.off
