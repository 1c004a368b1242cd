"""`Idempotency-Key`: a call that is repeated is answered again, not run again."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from worker.model.authority import digest_of
from worker.store.idempotency import Kept, beginning, finishing, forgetting
from worker.web.authority import Caller
from worker.web.parts import parts_of
from worker.web.problems import Refused

HEADER = "idempotency-key"
FORM = re.compile(r"[\x21-\x7e]{1,255}")
Body = dict[str, Any] | list[Any]
Secret = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


async def once(
    caller: Caller,
    call: BaseModel | None,
    run: Callable[[], Awaitable[Body]],
    *,
    status: int,
    secret: Secret | None = None,
) -> JSONResponse:
    """Run a call, or answer as before if its key was used for the same call.

    Only successes are kept: a call that was refused is run again. The key of a call that
    the end of the process interrupts is held for a while.

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
        return await _reply(await run(), status, secret)
    if not FORM.fullmatch(given):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "invalid-command",
            "Idempotency-Key takes 1 to 255 printable characters without spaces",
        )
    redis = parts_of(caller.request).redis
    key = digest_of(f"{caller.token.digest} {given}")
    said = call.model_dump_json() if call else ""
    fingerprint = digest_of(f"{caller.request.method} {caller.request.url.path} {said}")
    known = await redis.carry(beginning(key, fingerprint))
    if known is None:
        try:
            body = await run()
        except Exception:
            await redis.carry(forgetting(key))
            raise
        await redis.carry(finishing(key, Kept(fingerprint, status, json.dumps(body))))
        return await _reply(body, status, secret)
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
    return await _reply(json.loads(known.body), known.status, secret)


async def _reply(body: Body, status: int, secret: Secret | None) -> JSONResponse:
    shown = {**body, **await secret(body)} if secret and isinstance(body, dict) else body
    return JSONResponse(shown, status)
