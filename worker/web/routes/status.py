"""`/v1/status`, `/v1/events` and `/v1/audit`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, StreamingResponse

from worker.model.authority import Verb
from worker.web import state
from worker.web.answers import AuditPage, Status
from worker.web.authority import Caller, Needs
from worker.web.feed import Feed
from worker.web.parts import parts_of
from worker.web.problems import documented

router = APIRouter(tags=["status"], responses=documented(400, 401, 403, 429, 503))
Reader = Annotated[Caller, Depends(Needs(Verb.READ))]
STREAM = "text/event-stream"


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

    Events: `status` as `/v1/status`; `switches` with the fields that have changed, and
    ids that are `gone`; `unavailable` when Redis does not answer; `time`.
    """
    feed: Feed = caller.request.app.state.feed

    async def stream() -> AsyncIterator[str]:
        async for name, data in feed.follow(caller.token):
            yield f"event: {name}\ndata: {json.dumps(data)}\n\n"

    return StreamingResponse(stream(), media_type=STREAM)


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
