"""Sentry, if a DSN is configured: alerts only, with secrets masked.

Its SDK is imported where there is a DSN, and nowhere else: that takes a tenth of a worker's start.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, cast

from worker import clock
from worker.telemetry.logs import Mask

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint, MonitorConfig

MINUTE_MS = 60_000
"""The shortest interval that Sentry accepts."""
MONITOR = "cancel-worker-beat"
SCHEDULE: MonitorConfig = {
    "schedule": {"type": "interval", "value": 1, "unit": "minute"},
    "checkin_margin": 2,
    "max_runtime": 1,
    "failure_issue_threshold": 1,
    "recovery_threshold": 1,
}


def sdk() -> ModuleType | None:
    """Return Sentry's SDK; None where it does not send."""
    module = sys.modules.get("sentry_sdk")
    return module if module is not None and module.is_initialized() else None


def start(dsn: str | None, mask: Mask) -> None:
    """Send alerts to Sentry from now on; does nothing without a DSN.

    Local variables, breadcrumbs and request data are not sent: they contain headers and
    bodies. The rest is masked. Messages get no trace header: it would carry the DSN's
    key through Redis.
    """

    def scrub(event: Event, _hint: Hint) -> Event | None:
        if _of_celery(event):
            return None  # a failed task raises an alert with the traceback
        return cast("Event", mask.deep(event))

    if not dsn:
        return
    import sentry_sdk  # noqa: PLC0415  slow
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415  slow
    from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415  slow

    sentry_sdk.init(
        dsn=dsn,
        include_local_variables=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
        auto_session_tracking=False,
        default_integrations=False,
        integrations=[
            CeleryIntegration(propagate_traces=False, monitor_beat_tasks=False),
            AtexitIntegration(callback=lambda _pending, _timeout: None),
        ],
        before_send=scrub,
    )


class CheckIns:
    """Reports Celery beat's ticks to Sentry's cron monitor once a minute."""

    def __init__(self) -> None:
        self._next_ms = 0.0

    def beat(self) -> None:
        """Check in if a minute has passed; a thread of the SDK sends it."""
        now = clock.monotonic_ms()
        if now < self._next_ms or sdk() is None:
            return
        from sentry_sdk.crons import MonitorStatus, capture_checkin  # noqa: PLC0415  slow

        self._next_ms = now + MINUTE_MS
        capture_checkin(monitor_slug=MONITOR, status=MonitorStatus.OK, monitor_config=SCHEDULE)


def _of_celery(event: Event) -> bool:
    values = (event.get("exception") or {}).get("values") or []
    return any((value.get("mechanism") or {}).get("type") == "celery" for value in values)
