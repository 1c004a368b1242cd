"""Secret addresses by which a switch takes heartbeats without other authority."""

from __future__ import annotations

import secrets

from worker.model.authority import BEAT_PREFIX, digest_of
from worker.store.steps import Key, Steps, ask

SECRET_BYTES = 32
KEPT_MS = 7 * 86_400_000
"""An address expires after this time without a heartbeat."""


def creating_address(switch_id: str, epoch: int, *, timeout_ms: int) -> Steps[str]:
    """Return a new secret for heartbeats of one arming of a switch; kept by its hash."""
    secret = f"{BEAT_PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    kept_ms = max(KEPT_MS, 2 * timeout_ms)
    yield ask(("SET", _name(digest_of(secret)), f"{switch_id} {epoch}", "PX", kept_ms))
    return secret


def finding_address(digest: str) -> Steps[tuple[str, int] | None]:
    """Return the switch and the epoch of an address, and keep it; None if it is unknown.

    Args:
        digest: Of its secret.
    """
    (text,) = yield ask(("GETEX", _name(digest), "PX", KEPT_MS))
    if text is None:
        return None
    switch_id, epoch = text.split(" ")
    return switch_id, int(epoch)


def _name(digest: str) -> Key:
    return Key(f"web:beat:{digest}")
