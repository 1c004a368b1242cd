"""What a person must hear of: an error in the log, and in Sentry if there is one."""

from __future__ import annotations

import logging

import sentry_sdk

log = logging.getLogger(__name__)


def alert(kind: str, message: str, /, **context: object) -> None:
    """Raise an alert.

    Args:
        kind: Groups alerts of one cause, so that an outage is one issue.
        message: One line for a person. Never a secret.
        context: Job, account, exchange and the like.
    """
    log.error(message, extra={"alert": kind, **context})
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = [
            kind,
            str(context.get("exchange", "")),
            str(context.get("account", "")),
        ]
        scope.set_tag("alert", kind)
        scope.set_context("cancel_worker", {name: str(value) for name, value in context.items()})
        sentry_sdk.capture_message(message, level="error")
