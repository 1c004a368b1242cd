"""One reply of an exchange, and the whole answer that is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from worker.model.commands import Command
from worker.model.outcomes import Answer, Outcome, Unproven
from worker.model.wire import Reply

UNDOCUMENTED = "not the documented reply to what was asked"
UNKNOWN, UNAVAILABLE = Outcome.UNKNOWN, Outcome.UNAVAILABLE
UNAUTHORIZED, THROTTLED, REJECTED = Outcome.UNAUTHORIZED, Outcome.THROTTLED, Outcome.REJECTED
SHAPE = "{code: number, msg: text}"
"""Of an error as Binance writes it."""
Read = Callable[[Command, Reply], Answer]


class Case(NamedTuple):
    """One reply and all that is made of it."""

    read: Read
    command: Command
    body: Any
    answer: Answer
    status: int = 200


def check(case: Case) -> None:
    """Compare the answer with all its parts; every reply names a wait of 3 s."""
    text = case.body if isinstance(case.body, str) else json.dumps(case.body)
    reply = Reply(case.status, {"retry-after": "3"}, text.encode(), received_ms=0)
    assert case.read(case.command, reply) == case.answer


def unproven(outcome: Outcome, detail: str, **other: Any) -> Unproven:
    """Build an answer that proves nothing."""
    return Unproven(outcome, detail, **other)


def failed(code: object, msg: str = "some words") -> dict[str, object]:
    """Build an error as Binance writes it, and Indodax after it."""
    return {"code": code, "msg": msg}
