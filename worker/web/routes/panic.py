"""`POST /v1/panic`: cancel everything open of all accounts, or of some."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from worker.errors import InvalidCommand
from worker.model.authority import Verb
from worker.web.answers import Panicked, accepted
from worker.web.authority import Caller, Needs
from worker.web.bodies import Panic
from worker.web.once import once
from worker.web.parts import parts_of
from worker.web.problems import documented

router = APIRouter(tags=["cancels"], responses=documented(400, 401, 403, 404, 409, 429, 503))
Operator = Annotated[Caller, Depends(Needs(Verb.OPERATE))]
ACCEPTED = 202
NAMED = 10
"""Most accounts that an entry of the audit log names."""


@router.post("/v1/panic", status_code=ACCEPTED, response_model=Panicked, operation_id="panic")
async def panic(caller: Operator, call: Panic | None = None) -> JSONResponse:
    """Accept a cancel of everything open, ahead of all other work.

    An account whose exchange cannot list all its orders at once is `refused`; if that is
    true of all accounts, the call is.
    """
    named = call.accounts if call else None
    only = named[0] if named and len(named) == 1 else ""
    caller.note("panic", " ".join((named or ["every account"])[:NAMED]), only)
    if named is None:
        caller.require_everywhere()
    for account in named or ():
        caller.require(account)
    parts = parts_of(caller.request)

    async def run() -> Any:  # noqa: ANN401  JSON
        begun = await parts.redis.carry(parts.verbs.panic(named))
        if not begun.tickets:
            refused = [f"{account}: {why}" for account, why in begun.refused.items()]
            raise InvalidCommand("; ".join(refused) or "there is no account")
        return {"jobs": [accepted(each) for each in begun.tickets], "refused": begun.refused}

    return await once(caller, call, run, status=ACCEPTED)
