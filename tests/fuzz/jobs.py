"""Any hash in a job's place: a job, or one kind of error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fuzz.target import Target
from worker.model.jobs import Job

FULL = {
    "v": "1",
    "id": "0b0d",
    "kind": "cancel",
    "state": "pending",
    "lane": "indodax:ix",
    "order_id": "666883",
    "pair": "btc_idr",
    "side": "buy",
    "parent": "p",
    "phase": "ask",
    "streak": "3",
    "missing": "1",
    "missing_ms": "1783000000000",
    "attempts": "4",
    "claim": "5",
    "created_ms": "1783000000000",
    "first_ms": "1783000000001",
    "due_ms": "1783000000002.5",
    "finished_ms": "1783000000003",
    "claimed_by": "host:1:ab",
    "outcome": "UNKNOWN",
    "detail": "no reply",
    "lost": "1",
    "urgent": "1",
    "lease_ms": "10000",
    "raw": "x",
    "history": '{"n": 1, "outcome": "UNKNOWN"}\n{"n": 2}',
}
CORPUS: tuple[Any, ...] = (
    FULL,
    {"id": "1", "kind": "cancel_all", "state": "dead"},
    {"id": "1", "kind": "malformed", "state": "done", "history": ""},
)
WORDS = (
    *(name.encode() for name in FULL),
    *(b"inf", b"nan", b"1e400", b"-0", b"\\n", b"\\u2028", b"CANCELED", b"GONE", b"list", b"send"),
)


def check(data: bytes) -> None:
    """Read the fields as the ledger does; describe what was read."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    fields = {name: item if isinstance(item, str) else repr(item) for name, item in value.items()}
    job = Job.read(fields)
    assert json.loads(json.dumps(job.describe()))["id"] == fields.get("id", "")
    assert isinstance(job.exchange + job.account, str)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target."""
    yield Target(check, [json.dumps(value).encode() for value in CORPUS], WORDS)
