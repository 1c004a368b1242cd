"""Liveness and readiness of a background loop, for probes."""

from __future__ import annotations

from worker import clock

LIVE_MS = 15_000
"""A loop without progress for this long hangs: no call in it takes as long."""
READY_MS = 5_000
"""Maximum time since the loop's last progress, and since Redis's last answer, if ready."""


class Liveness:
    """Times of a loop's last progress and of Redis's last answer.

    One thread writes, any thread may read.
    """

    def __init__(self) -> None:
        self._moved_ms: float | None = None
        self._answered_ms: float | None = None
        self._stopping = False

    def moved(self) -> None:
        """Note that the loop has begun another round."""
        self._moved_ms = clock.monotonic_ms()

    def answered(self) -> None:
        """Note that Redis has answered."""
        self._answered_ms = clock.monotonic_ms()

    def stopping(self) -> None:
        """Note that the loop is being stopped, so that its end is no fault."""
        self._stopping = True

    def faults(self) -> list[str]:
        """Return why the process is not ready; empty if it is."""
        faults = ["stopping"] if self._stopping else []
        if self._moved_ms is None:
            return [*faults, "not started yet"]
        if _age(self._moved_ms) > READY_MS:
            faults.append(f"its loop has made no progress for {_age(self._moved_ms)} ms")
        if self._answered_ms is None:
            faults.append("Redis has not answered yet")
        elif _age(self._answered_ms) > READY_MS:
            faults.append(f"Redis has not answered for {_age(self._answered_ms)} ms")
        return faults

    @property
    def live(self) -> bool:
        """Whether the loop moves, has not been started, or is being stopped.

        Redis being down does not count: a restart of this process would not help.
        """
        idle = self._moved_ms is None or self._stopping
        return idle or _age(self._moved_ms or 0.0) <= LIVE_MS


def _age(then_ms: float) -> int:
    return round(clock.monotonic_ms() - then_ms)
