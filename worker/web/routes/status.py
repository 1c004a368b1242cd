"""`/v1/status`, `/v1/events` and `/v1/audit`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from worker import clock
from worker.model.authority import Verb
from worker.web import state
from worker.web.answers import AuditPage, Status
from worker.web.authority import Caller, Needs, still
from worker.web.feed import Feed
from worker.web.parts import parts_of
from worker.web.problems import documented

router = APIRouter(tags=["status"], responses=documented(400, 401, 403, 429, 503))
Reader = Annotated[Caller, Depends(Needs(Verb.READ))]
STREAM = "text/event-stream"
ASKED_AGAIN_MS = 10_000
"""How often an open stream asks whether its token is still valid."""


@router.get("/v1/status", response_model=Status, operation_id="status")
def status(caller: Reader) -> JSONResponse:
    """Return problems, workers, accounts and Redis."""
    parts = parts_of(caller.request)
    return JSONResponse(state.status(state.look(parts), caller.token))


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={200: {"content": {STREAM: {"schema": {"type": "string"}}}}},
    operation_id="events",
)
async def events(caller: Reader) -> StreamingResponse:
    """Stream the state as server-sent events: all of it first, then what changes.

    It ends soon after its token was revoked, or its session closed.

    Events: `status` as `/v1/status`; `switches` with the fields that have changed, and
    ids that are `gone`; `unavailable` when Redis does not answer; `time`.
    """
    feed: Feed = caller.request.app.state.feed

    async def stream() -> AsyncIterator[str]:
        asked_ms = clock.monotonic_ms()
        async for name, data in feed.follow(caller.token):
            if clock.monotonic_ms() - asked_ms > ASKED_AGAIN_MS:
                if not await still(caller):
                    return
                asked_ms = clock.monotonic_ms()
            yield f"event: {name}\ndata: {json.dumps(data)}\n\n"

    held = ExitStack()
    held.enter_context(parts_of(caller.request).held.one(caller.token.digest))
    return _Stream(stream(), held)


class _Stream(StreamingResponse):
    """Events, until the client leaves."""

    def __init__(self, events: AsyncIterator[str], held: ExitStack) -> None:
        super().__init__(events, media_type=STREAM)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        with self._held:
            await super().__call__(scope, receive, send)


@router.get("/v1/audit", response_model=AuditPage, operation_id="audit")
def audit(caller: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> JSONResponse:
    """Return the latest calls that changed something.

    Calls that name no account are shown to tokens for every account.
    """
    shown = (
        asdict(entry)
        for entry in parts_of(caller.request).audit.latest()
        if caller.token.covers(entry.account)
    )
    return JSONResponse({"entries": [*islice(shown, limit)]})
