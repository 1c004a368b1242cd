"""What an answer adds about the shape of a reply that no document describes."""

from __future__ import annotations

from dataclasses import replace

from worker.exchanges.replies import DETAIL_MAX_CHARS, read_json, shape
from worker.model.outcomes import Answer, Outcome, Unproven
from worker.model.wire import Reply

ODD = "not the documented"
NEITHER = "neither a documented"
STATUS = "not a documented status"


def with_shape(expected: Answer, reply: Reply) -> Answer:
    """Complete an expected answer by the shape, where nothing else describes the reply.

    `test_exchange_shape.py` holds what a shape looks like.
    """
    if not isinstance(expected, Unproven) or expected.outcome is not Outcome.UNKNOWN:
        return expected
    body = read_json(reply.body) if STATUS not in expected.detail else None
    bare = expected.detail == f"HTTP {reply.status}"
    if bare and body is not None:
        detail = f"{expected.detail}: {shape(reply, body)}"
    elif expected.detail.startswith(
        (f"HTTP 200: {ODD}", f"HTTP 200: {NEITHER}", f"HTTP {reply.status}: {STATUS}")
    ):
        detail = f"{expected.detail}; {shape(reply, body)}"
    else:
        return expected
    return replace(expected, detail=detail[:DETAIL_MAX_CHARS])
