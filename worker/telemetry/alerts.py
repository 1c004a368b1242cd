"""Alerts: errors that an operator must see, in the log and, if configured, in Sentry."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from worker import clock
from worker.telemetry import metrics, sentry

log = logging.getLogger(__name__)

REPEAT_MS = 300_000
"""A recurring cause is reported at least this often."""
RESET_MS = 600_000
"""After this time without an alert the count of a cause restarts."""


Listener = Callable[[str, str, dict[str, object]], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have `listener` called with kind, message and context of each alert of this process.

    It is called in the thread that raises the alert: it must not block or raise.
    """
    _listeners.append(listener)


class AlertThrottle:
    """Passes the 1st, 10th, 100th … alert of a cause, and one every five minutes.

    Ten thousand dead letters of one outage become five events. Each carries the count
    so far, and none is delayed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._causes: dict[tuple[str, ...], tuple[int, float, float]] = {}
        """By cause: alerts so far, when last passed, when last seen."""

    def admit(self, cause: tuple[str, ...]) -> int:
        """Count an alert; return the count if it passes, 0 if it is suppressed."""
        now = clock.monotonic_ms()
        with self._lock:
            count, passed_ms, seen_ms = self._causes.get(cause, (0, 0.0, 0.0))
            if now - seen_ms > RESET_MS:
                count = 0
            count += 1
            passes = str(count).rstrip("0") == "1" or now - passed_ms > REPEAT_MS
            self._causes[cause] = (count, now if passes else passed_ms, now)
        return count if passes else 0


_throttle = AlertThrottle()


def alert(
    kind: str, message: str, error: BaseException | None = None, /, **context: object
) -> None:
    """Raise an alert: log every one, and send a few of each cause to Sentry.

    Args:
        kind: Groups alerts of one cause, so that an outage is one Sentry issue.
        message: One line for an operator. Never a secret.
        error: The caught exception, if its traceback helps.
        context: Job, account, exchange and similar fields.
    """
    metrics.alerted(kind, context.get("exchange"))
    log.error(message, extra={"alert": kind, **context})
    for listener in _listeners:
        listener(kind, message, context)
    cause = (kind, str(context.get("exchange", "")), str(context.get("account", "")))
    sdk = sentry.sdk()
    if sdk is None or not (times := _throttle.admit(cause)):
        return
    with sdk.new_scope() as scope:
        scope.fingerprint = [*cause]
        scope.set_tag("alert", kind)
        fields = {"message": message, "times": times, **context}
        scope.set_context("cancel_worker", {name: str(value) for name, value in fields.items()})
        if error is None:
            sdk.capture_message(message, level="error")
        else:
            sdk.capture_exception(error)
