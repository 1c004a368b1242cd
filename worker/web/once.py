"""`Idempotency-Key`: a call that is repeated is answered again, not run again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from worker.model.authority import digest_of
from worker.store.idempotency import Kept
from worker.web.authority import Caller
from worker.web.parts import parts_of
from worker.web.problems import Refused

HEADER = "idempotency-key"
FORM = re.compile(r"[\x21-\x7e]{1,255}")
Body = dict[str, Any] | list[Any]


def once(
    caller: Caller,
    call: BaseModel | None,
    run: Callable[[], Body],
    *,
    status: int,
    secret: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _body: {},
) -> JSONResponse:
    """Run a call, or answer as before if its key was used for the same call.

    Only successes are kept: a call that was refused is run again.

    Args:
        caller: Who calls; keys of two tokens are apart.
        call: The parsed body.
        run: Makes the call; returns the body of the reply.
        status: Status of the reply.
        secret: Fields that are made for each reply and never kept.

    Raises:
        Refused: 400 if the key was used for another call, 409 while the first one runs.
    """
    given = caller.request.headers.get(HEADER)
    if given is None:
        return _reply(run(), status, secret)
    if not FORM.fullmatch(given):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "invalid-command",
            "Idempotency-Key takes 1 to 255 printable characters without spaces",
        )
    kept = parts_of(caller.request).idempotency
    key = digest_of(f"{caller.token.digest} {given}")
    said = call.model_dump_json() if call else ""
    fingerprint = digest_of(f"{caller.request.method} {caller.request.url.path} {said}")
    known = kept.begin(key, fingerprint)
    if known is None:
        try:
            body = run()
        except BaseException:
            kept.forget(key)
            raise
        kept.finish(key, Kept(fingerprint, status, json.dumps(body)))
        return _reply(body, status, secret)
    if known.fingerprint != fingerprint:
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "invalid-command",
            "this Idempotency-Key was used for another call; use a new one",
        )
    if not known.status:
        raise Refused(
            HTTPStatus.CONFLICT,
            "in-progress",
            "the call with this Idempotency-Key has not finished; ask again",
            retry_ms=1_000,
        )
    return _reply(json.loads(known.body), known.status, secret)


def _reply(
    body: Body, status: int, secret: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> JSONResponse:
    shown = {**body, **secret(body)} if isinstance(body, dict) else body
    return JSONResponse(shown, status)
