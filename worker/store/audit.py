"""The audit log in Redis: who did what over HTTP, from where, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.store.connection import Store, unavailable
from worker.store.steps import Steps, run

KEPT = 10_000
"""Entries kept; older ones are dropped."""
CHUNK = 500


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action.

    Attributes:
        at_ms: Shared time, Unix ms.
        who: Name of the token.
        source: Address of the client.
        via: `api`, `page` or `hook`.
        action: What was asked for, such as `cancel-all`.
        target: What it was about, such as an order or a switch; one line.
        account: Alias; empty for all accounts.
        status: HTTP status of the reply.
    """

    at_ms: int
    who: str
    source: str
    via: str
    action: str
    target: str
    account: str
    status: int


def noting(entry: str) -> Steps[None]:
    """Append an entry, as `entry_text` returns it, at the time that Redis has."""
    yield run("audit", entry, KEPT)


def entry_text(
    *, who: str, source: str, via: str, action: str, target: str, account: str, status: int
) -> str:
    """Return an entry without its time, as scripts take it."""
    entry = {
        "who": who,
        "source": source,
        "via": via,
        "action": action,
        "target": target,
        "account": account,
        "status": status,
    }
    return json.dumps(entry)


class Audit:
    """The audit log in one Redis, to be read. Methods raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = store.key("web:audit")

    def latest(self) -> Iterator[AuditEntry]:
        """Yield the entries, latest first."""
        for first in range(0, KEPT, CHUNK):
            with unavailable():
                rows: Any = self._store.client.lrange(self._key, first, first + CHUNK - 1)
            for row in rows:
                yield AuditEntry(**json.loads(row))
            if len(rows) < CHUNK:
                return
