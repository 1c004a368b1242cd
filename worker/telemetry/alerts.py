"""What a person must hear of: an error in the log, and in Sentry if there is one."""

from __future__ import annotations

import logging
import threading

import sentry_sdk

from worker import clock
from worker.telemetry import metrics

log = logging.getLogger(__name__)

AGAIN_MS = 300_000
"""A cause that goes on is told of at least this often."""
QUIET_MS = 600_000
"""A cause that was silent for so long begins anew."""


class Restraint:
    """Lets the first alert of a cause through, the 10th, the 100th, and one every five minutes.

    So ten thousand dead letters of one outage are five events, each of which
    says how many there have been, and none waits for a timer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._causes: dict[tuple[str, ...], tuple[int, float, float]] = {}
        """Cause → how many, when last told, when last seen."""

    def admit(self, cause: tuple[str, ...]) -> int:
        """Return how often a cause has been seen by now; 0 if that is not to be told."""
        now = clock.monotonic_ms()
        with self._lock:
            count, told, seen = self._causes.get(cause, (0, 0.0, 0.0))
            if now - seen > QUIET_MS:
                count = 0
            count += 1
            tell = str(count).rstrip("0") == "1" or now - told > AGAIN_MS
            self._causes[cause] = (count, now if tell else told, now)
        return count if tell else 0


_restraint = Restraint()


def alert(
    kind: str, message: str, error: BaseException | None = None, /, **context: object
) -> None:
    """Raise an alert: each into the log, of one cause but a few to Sentry.

    Args:
        kind: Groups alerts of one cause, so that an outage is one issue.
        message: One line for a person. Never a secret.
        error: What was caught, if a trace helps.
        context: Job, account, exchange and the like.
    """
    metrics.alerted(kind, context.get("exchange"))
    log.error(message, extra={"alert": kind, **context})
    cause = (kind, str(context.get("exchange", "")), str(context.get("account", "")))
    if not sentry_sdk.is_initialized() or not (times := _restraint.admit(cause)):
        return
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = [*cause]
        scope.set_tag("alert", kind)
        told = {"message": message, "times": times, **context}
        scope.set_context("cancel_worker", {name: str(value) for name, value in told.items()})
        if error is None:
            sentry_sdk.capture_message(message, level="error")
        else:
            sentry_sdk.capture_exception(error)
