"""Replies kept by `Idempotency-Key`, so that a repeated call is not run again."""

from __future__ import annotations

import json
from dataclasses import dataclass

from worker.store.steps import Key, Steps, ask

KEPT_MS = 86_400_000
RUNNING_MS = 30_000
"""How long a key is held by a call that has not finished: its process may have died."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a key.

    Attributes:
        fingerprint: Hash of the call that it was used for.
        status: HTTP status of the reply; 0 while the call runs.
        body: JSON text of the reply.
    """

    fingerprint: str
    status: int = 0
    body: str = ""


def beginning(key: str, fingerprint: str) -> Steps[Kept | None]:
    """Take a key for a call; return None, or what is known if it was used before."""
    text = json.dumps([fingerprint, 0, ""])
    taken, known = yield ask(("SET", _name(key), text, "NX", "PX", RUNNING_MS), ("GET", _name(key)))
    # A key that has expired in between counts as running: the client asks again.
    return None if taken else Kept(*json.loads(known)) if known else Kept(fingerprint)


def finishing(key: str, kept: Kept) -> Steps[None]:
    """Keep the reply of a call."""
    text = json.dumps([kept.fingerprint, kept.status, kept.body])
    yield ask(("SET", _name(key), text, "PX", KEPT_MS))


def forgetting(key: str) -> Steps[None]:
    """Release a key whose call did nothing that counts."""
    yield ask(("DEL", _name(key)))


def _name(key: str) -> Key:
    return Key(f"web:idempotency:{key}")
