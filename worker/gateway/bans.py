"""Keep away from an exchange that refuses every request for a time."""

from __future__ import annotations

import logging

from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSession
from worker.gateway.ports import Slots
from worker.model.outcomes import Unproven

log = logging.getLogger(__name__)

BAN_MS = 120_000
"""How long nothing is sent if the exchange does not say."""


def note_ban(limiter: Slots, session: AccountSession, answer: Unproven) -> None:
    """Send nothing where the ban counts until it is over, from any worker; raise an alert.

    Without Redis, other workers may still send, and are banned in turn.
    """
    ban_ms = answer.retry_after_ms or BAN_MS
    session.tell_banned(ban_ms)
    try:
        limiter.ban(session.bans, ban_ms)
    except StoreUnavailable:
        log.warning("Redis is down: other workers do not know of a ban by the exchange")
