"""Sentry, where there is a DSN: alerts alone, and nothing secret in them."""

from __future__ import annotations

from typing import cast

import sentry_sdk
from sentry_sdk.types import Event, Hint

from worker.logs import Mask


def start(dsn: str | None, mask: Mask) -> None:
    """Send alerts to Sentry from now on; without a DSN to nobody.

    Local variables, breadcrumbs and request data are left out, since they hold
    headers and bodies; what remains is masked.
    """

    def scrub(event: Event, _hint: Hint) -> Event:
        return cast("Event", mask.deep(event))

    if dsn:
        sentry_sdk.init(
            dsn=dsn,
            include_local_variables=False,
            max_breadcrumbs=0,
            default_integrations=False,
            before_send=scrub,
        )
