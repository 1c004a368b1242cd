"""`POST /v1/hooks/{secret}`: a webhook that cancels the one scope that it was made for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from worker.model.authority import Token
from worker.web.answers import Jobs, accepted
from worker.web.authority import looked_up, note
from worker.web.parts import Parts, parts_of
from worker.web.problems import Refused, documented

router = APIRouter(tags=["cancels"], responses=documented(400, 401, 404, 429, 503))
ACCEPTED = 202


@router.post("/v1/hooks/{secret}", status_code=ACCEPTED, response_model=Jobs, operation_id="hook")
def hook(
    request: Request, secret: Annotated[str, Path(min_length=1, max_length=128)]
) -> JSONResponse:
    """Accept a cancel-all of the webhook's scope; the body is not read."""
    parts = parts_of(request)
    token: Token = looked_up(request, parts, lambda: _hook(parts, secret))
    scope = token.hook
    assert scope is not None  # noqa: S101  `_hook` returns no other
    named = " ".join(filter(None, (scope.pair, scope.side))) or "everything"
    note(
        request,
        who=token.name,
        via="hook",
        action="cancel-all",
        target=named,
        account=scope.account,
    )
    if wait_ms := parts.hooks.take(token.digest):
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            "this webhook is called too often",
            retry_ms=wait_ms,
        )
    ticket = parts.producer.cancel_all(
        scope.account, pair=scope.pair or None, side=scope.side or None
    )
    return JSONResponse({"jobs": [accepted(ticket)]}, ACCEPTED)


def _hook(parts: Parts, secret: str) -> Token | None:
    token = parts.tokens.find(secret)
    return token if token and token.hook else None
