"""What it takes to keep a countdown at an exchange: pure figures, all in ms.

A request takes `call_ms` at most: its socket is reset then, and so much is taken
off each countdown, as the timer starts when the request arrives. So no timer
outlives its deadline, whether or not the reply comes. A strategy that beats at
least every half timeout leaves `LEFT` of the timeout when a renewal becomes due.
In that time one failure must fit, and the renewal after it: a reply that is lost,
or a worker killed while it holds the account.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from worker.config.client_settings import AccountTerms
from worker.exchanges.timer import Timer
from worker.model.commands import SetCountdown
from worker.model.constants import EXECUTED_MS, LEFT_SHARE, SERIAL_MIN_MS, SERIAL_SHARE, SLACK_SHARE

CALL_MAX_MS = 2_500
"""Longest that a countdown request may take."""
LAUNCH_MAX_MS = 500
"""A leave to send that was asked for longer ago than this is not used. What it took is
taken off the countdown."""
HOLD_MARGIN_MS = 200
"""From the end of a call until its result is recorded in Redis."""
SKEW_MS = 1_000
"""How far behind the exchange's clock a timestamp may be when it is made."""
AHEAD_MAX_MS = 1_000
"""How far ahead of the exchange's clock a timestamp may be and still be accepted."""
DOUBT_MAX_MS = 1_000
"""How much earlier a timer may be set that fires at a moment of the exchange's clock."""
SWEEP_MS = 100
"""How long a worker takes to see that a renewal is due."""
LEFT = 1 / LEFT_SHARE - 1 / SLACK_SHARE
"""Part of the timeout that is left until a timer fires when its renewal becomes due, before
the call is taken off."""
SPENT = 0.9
"""Part of the exchange's limit that renewals may take; stops and retries need the rest."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an account's countdown requests go.

    Attributes:
        nonce: Requests carry a nonce, so that the exchange refuses what arrives after a
            later one, and other requests of the key take turns with countdowns.
        step_ms: From one request to the next at the limit; 0 without a limit.
        least_ms: The shortest countdown that the timer can be set to; 0 for any.
        round_ms: How much rounding, and doubt about the exchange's clock, may take of a
            countdown at most.
        windowed: A request says for how long the exchange may accept it. If not, one that
            arrived in time is taken to be carried out within `EXECUTED_MS`.
    """

    nonce: bool
    step_ms: int
    least_ms: int = 0
    round_ms: int = 0
    windowed: bool = True

    def window_ms(self, call_ms: int) -> int:
        """Return how long after its timestamp the exchange may accept a request."""
        return call_ms + SKEW_MS

    def flight_ms(self, call_ms: int) -> int:
        """Return until when after its leave a request may take effect, its sender dead or not."""
        if self.nonce:
            return LAUNCH_MAX_MS + call_ms
        if not self.windowed:
            return LAUNCH_MAX_MS + call_ms + EXECUTED_MS
        return LAUNCH_MAX_MS + self.window_ms(call_ms) + AHEAD_MAX_MS

    def hold_ms(self, call_ms: int) -> int:
        """Return how long the account is held for one request."""
        return LAUNCH_MAX_MS + call_ms + HOLD_MARGIN_MS

    def blocked_ms(self, call_ms: int, timeout_ms: int) -> float:
        """Return how long one failure keeps others from renewing a timer."""
        serial_ms = max(SERIAL_MIN_MS, timeout_ms / SERIAL_SHARE) if self.nonce else 0
        return max(self.hold_ms(call_ms), self.flight_ms(call_ms), serial_ms, self.step_ms)

    def keeps(self, timeout_ms: int, call_ms: int) -> bool:
        """Return whether a timer of this timeout survives one failure."""
        needed_ms = 2 * call_ms + SWEEP_MS + self.blocked_ms(call_ms, timeout_ms)
        settable = self.least_ms + needed_ms <= timeout_ms
        return settable and needed_ms + self.round_ms <= LEFT * timeout_ms


def shortest_native_ms(terms: Terms, call_ms: int) -> int:
    """Return the shortest timeout that the exchange's own timer is used for.

    Below it workers hold the deadline, and no timer is set.
    """
    return bisect_right(range(1_000_000), 0, key=lambda ms: terms.keeps(ms, call_ms))


def longest_call_ms(terms: Terms, timeout_ms: int) -> int:
    """Return how long a request may take for a timer of this timeout to be kept; 0: at no pace."""
    calls = range(CALL_MAX_MS + 1)
    return max(0, bisect_right(calls, 0, key=lambda ms: not terms.keeps(timeout_ms, ms)) - 1)


def budget_of(max_requests: int, window_ms: int, *, accounts: int = 1) -> int:
    """Return how many requests in 1,000 s one of `accounts` that share a limit may renew with."""
    return int(SPENT * max_requests * 1_000_000 / window_ms / max(1, accounts))


def terms_of(account: AccountTerms) -> tuple[Terms, int]:
    """Return the terms of an account's countdown requests by its settings, and their budget."""
    limits = [limit for limit in account.limits_in_force if SetCountdown in limit.commands]
    weights = [limit.weight(SetCountdown) for limit in limits]
    weighed = [*zip(limits, weights, strict=True)]
    steps = [limit.window_ms * weight // limit.max_requests for limit, weight in weighed]
    budgets = [
        budget_of(limit.max_requests // weight, limit.window_ms) for limit, weight in weighed
    ]
    timer = account.adapter.capabilities.timer
    terms = terms_for(timer, nonce=account.uses_nonce, step_ms=max(steps, default=0))
    return terms, min(budgets, default=0)


def terms_for(timer: Timer | None, *, nonce: bool, step_ms: int) -> Terms:
    """Return how the countdown requests of a timer go."""
    if timer is None:
        return Terms(nonce, step_ms)
    round_ms = timer.unit_ms - 1 + (DOUBT_MAX_MS if timer.absolute else 0)
    return Terms(nonce, step_ms, timer.least_ms, round_ms, timer.windowed)
