"""When heartbeats are due, and what follows from their results. Pure: times are arguments."""

from __future__ import annotations

import math

from worker.errors import CancelWorkerError, StoreUnavailable, SwitchError

SHARE = 3
"""Heartbeats in one timeout."""
RETRY_SHARE = 24
RETRY_MIN_MS, RETRY_MAX_MS = 50.0, 1_000.0
"""Pause after a failed heartbeat: this part of the timeout, within these bounds."""
PROMPT_SHARE = 2
"""Progress that comes this part of the timeout after the confirmed one is sent at once."""


class Pulse:
    """State of one switch's heartbeats, as the strategy's process knows it.

    All times are ms on the local monotonic clock.

    Attributes:
        progress_ms: Latest progress of the strategy.
        error: What the strategy must learn: the switch has ended, or no heartbeat has
            reached Redis by the deadline. None while all is well.
        prompt_ms: Progress from here on is sent at once.
    """

    def __init__(self, timeout_ms: int, *, now_ms: float) -> None:
        self.timeout_ms = timeout_ms
        self.progress_ms = now_ms
        self.error: CancelWorkerError | None = None
        self.prompt_ms = math.inf
        self._confirmed_ms = now_ms

    @property
    def deadline_ms(self) -> float:
        """The deadline that Redis has confirmed last."""
        return self._confirmed_ms + self.timeout_ms

    @property
    def ended(self) -> bool:
        """Whether the switch has ended for this holder."""
        return isinstance(self.error, SwitchError)

    def beaten(self, since_ms: float, *, sent_ms: float) -> float:
        """Note a heartbeat that Redis has confirmed; return when the next one is due.

        Args:
            since_ms: The progress that it carried.
            sent_ms: When it was sent.
        """
        self.error = None
        self._confirmed_ms = max(self._confirmed_ms, since_ms)
        self.prompt_ms = self._confirmed_ms + self.timeout_ms / PROMPT_SHARE
        return sent_ms + self.timeout_ms / SHARE

    def failed(self, error: CancelWorkerError, *, now_ms: float) -> tuple[float, bool]:
        """Note a heartbeat that failed.

        Args:
            error: Why. A `SwitchError` is final.
            now_ms: The current time.

        Returns:
            When to try again, and whether the strategy must learn of it now.
        """
        self.prompt_ms = math.inf
        if isinstance(error, SwitchError):
            self.error = error
            return math.inf, True
        pause_ms = min(RETRY_MAX_MS, max(RETRY_MIN_MS, self.timeout_ms / RETRY_SHARE))
        if now_ms < self.deadline_ms:
            return min(now_ms + pause_ms, self.deadline_ms), False
        first = self.error is None
        if first:
            self.error = _lost(error)
        return now_ms + pause_ms, first


def _lost(error: CancelWorkerError) -> CancelWorkerError:
    text = f"no heartbeat reached Redis by the deadline: the switch trips; last error: {error}"
    return StoreUnavailable(text)
