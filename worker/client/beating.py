"""What the heartbeats of a thread and of a task share: progress, and what a failure means."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from worker import clock
from worker.client.pulse import Pulse
from worker.client.switch import HeldSwitch
from worker.errors import CancelWorkerError, InvalidCommand, StoreUnavailable
from worker.model.switches import SwitchRecord

log = logging.getLogger(__name__)

OnError = Callable[[CancelWorkerError], None]
S = TypeVar("S", bound=HeldSwitch)


class Beating(Generic[S]):
    """The state of one switch's heartbeats; it sends none itself.

    Args:
        switch: An armed switch.
        on_error: See `Heartbeat`.
    """

    def __init__(self, switch: S, *, on_error: OnError | None = None) -> None:
        self.switch = switch
        self._on_error = on_error
        self._pulse = Pulse(switch.timeout_ms, now_ms=clock.monotonic_ms())

    def _begin(self) -> None:
        """Count from now on; what was learned of a former start is forgotten."""
        self._pulse = Pulse(self._pulse.timeout_ms, now_ms=clock.monotonic_ms())

    def _failed(self, error: Exception) -> float:
        """Take in a heartbeat that failed; return when the next one is due.

        What the strategy must learn of is given to `on_error`, once.
        """
        if isinstance(error, CancelWorkerError):
            failure = error
        else:
            failure = StoreUnavailable(f"{type(error).__name__} while sending a heartbeat")
        pulse = self._pulse
        due_ms, notify = pulse.failed(failure, now_ms=clock.monotonic_ms())
        if notify and pulse.error is not None:
            log.error("switch %s: %s", self.switch.id, pulse.error)
            self._notify(pulse.error)
        else:
            log.warning("switch %s: a heartbeat failed: %s", self.switch.id, failure)
        return due_ms

    def _notify(self, error: CancelWorkerError) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception:
            log.exception("on_error of the heartbeats of switch %s failed", self.switch.id)


def timeout_of(switch: HeldSwitch, record: SwitchRecord | None) -> int:
    """Return the timeout of a switch that was armed elsewhere.

    Raises:
        InvalidCommand: The switch has no record.
    """
    if record is None:
        raise InvalidCommand(f"switch {switch.id} has no record; arm it first")
    return record.timeout_ms
