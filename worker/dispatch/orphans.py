"""Alerts for ids that were due in Redis without a record."""

from __future__ import annotations

from worker.store.orphans import Astray
from worker.telemetry.alerts import alert

SHOWN_MAX = 5


def report(astray: Astray) -> None:
    """Raise one alert for all ids that were moved aside since the last alert.

    Raises:
        StoreUnavailable: Redis did not answer. The ids are returned again later.
    """
    if found := astray.due():
        shown = ", ".join(found[:SHOWN_MAX]) + (", …" if len(found) > SHOWN_MAX else "")
        alert(
            "record missing",
            f"due without a record, moved to the key astray: {len(found)}: {shown}",
        )
        astray.reported(found)
