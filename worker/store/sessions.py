"""Sessions of the control page: a token's authority behind a cookie, as procedures.

They are stored by the hash of their secret.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from worker.model.authority import digest_of
from worker.store.steps import Key, Steps, ask

SECRET_BYTES = 32
KEPT_MS = 12 * 3_600_000
"""A session ends this long after its login."""


@dataclass(frozen=True, slots=True)
class Session:
    """One login.

    Attributes:
        token: Digest of the token that it was opened with; the session ends with it.
        csrf: What calls that change something must carry too.
    """

    token: str
    csrf: str


def opening(token: str) -> Steps[str]:
    """Open a session with a token's digest; return its secret, for the cookie."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    session = json.dumps([token, secrets.token_urlsafe(SECRET_BYTES)])
    yield ask(("SET", _name(secret), session, "PX", KEPT_MS))
    return secret


def finding_session(secret: str) -> Steps[Session | None]:
    """Return a session, or None if there is none or it has ended."""
    (text,) = yield ask(("GET", _name(secret)))
    return Session(*json.loads(text)) if text else None


def closing(secret: str) -> Steps[None]:
    """End a session."""
    yield ask(("DEL", _name(secret)))


def _name(secret: str) -> Key:
    return Key(f"web:session:{digest_of(secret)}")
