"""`POST /v1/hooks/{secret}`: a webhook that cancels the one scope that it was made for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from worker.model.authority import digest_of
from worker.store.api_tokens import Rate, admitting
from worker.web.answers import Jobs, accepted
from worker.web.authority import known, note
from worker.web.parts import parts_of
from worker.web.problems import Refused, documented

router = APIRouter(tags=["cancels"], responses=documented(400, 401, 404, 429, 503))
ACCEPTED = 202
RATE = Rate(per_s=1, burst=10)
"""Calls of one webhook: each is a cancel-all."""


@router.post("/v1/hooks/{secret}", status_code=ACCEPTED, response_model=Jobs, operation_id="hook")
async def hook(
    request: Request, secret: Annotated[str, Path(min_length=1, max_length=128)]
) -> JSONResponse:
    """Accept a cancel-all of the webhook's scope; the body is not read."""
    parts = parts_of(request)
    found = await parts.redis.carry(admitting(digest_of(secret), RATE))
    token = await known(request, parts, found.token if found.token and found.token.hook else None)
    scope = token.hook
    assert scope is not None  # noqa: S101  it is known
    named = " ".join(filter(None, (scope.pair, scope.side))) or "everything"
    note(
        request,
        who=token.name,
        via="hook",
        action="cancel-all",
        target=named,
        account=scope.account,
    )
    if found.wait_ms:
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            "this webhook is called too often",
            retry_ms=found.wait_ms,
        )
    steps = parts.verbs.cancel_all(scope.account, pair=scope.pair or None, side=scope.side or None)
    ticket = await parts.redis.carry(steps)
    return JSONResponse({"jobs": [accepted(ticket)]}, ACCEPTED)
