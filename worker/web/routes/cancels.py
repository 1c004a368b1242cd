"""`POST /v1/cancels` and `/v1/cancel-all`; `DELETE /v1/holds`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse

from worker.client.async_ticket import AsyncTicket
from worker.errors import InvalidCommand, UnknownAccount
from worker.model.authority import Verb
from worker.store.admission import Admission, NotAdmittedError, admitted
from worker.store.job_steps import CHUNK, ending_hold, reading_job
from worker.web.answers import Accepted, Jobs, accepted
from worker.web.authority import Caller, Needs, NeedsLater, entry_of
from worker.web.bodies import CancelAll, Cancels, Order
from worker.web.once import HEADER, once
from worker.web.parts import Parts, parts_of
from worker.web.problems import documented, not_found

router = APIRouter(tags=["cancels"], responses=documented(400, 401, 403, 404, 409, 429, 503))
Canceler = Annotated[Caller, Depends(Needs(Verb.CANCEL))]
LATER = NeedsLater(Verb.CANCEL)
KnownCanceler = Annotated[Caller, Depends(LATER)]
JobId = Annotated[str, Path(min_length=1, max_length=128)]
ACCEPTED, NO_CONTENT = 202, 204
NAMED = 10
"""Most orders that an entry of the audit log names."""


@router.post(
    "/v1/cancels",
    status_code=ACCEPTED,
    response_model=Accepted | list[Accepted],
    operation_id="cancel",
)
async def cancel(caller: KnownCanceler, call: Cancels) -> JSONResponse:
    """Accept cancels of one order or of several; answered once they are recorded."""
    orders = call.orders or [Order(order_id=call.order_id, client_order_id=call.client_order_id)]
    named = [each.order_id or f"client id {each.client_order_id}" for each in orders[:NAMED]]
    target = " ".join(named)
    if ticket := await _cancel_at_once(caller, call, target):
        return JSONResponse(accepted(ticket), ACCEPTED)
    caller = await LATER.admit(caller)
    caller.note("cancel", target, call.account)
    caller.require(call.account)
    parts = parts_of(caller.request)

    async def run() -> Any:  # noqa: ANN401  one JSON object or a list
        made = [accepted(ticket) for ticket in await _cancel_each(parts, call, orders)]
        return made if call.orders else made[0]

    return await once(caller, call, run, status=ACCEPTED)


async def _cancel_at_once(caller: Caller, call: Cancels, target: str) -> AsyncTicket | None:
    """Admit, accept and note the cancel of one order in one round trip.

    Returns:
        None if that is not possible, or refused, and nothing was done; it is then to be
        done step by step, which says why.
    """
    request = caller.request
    known = caller.record and caller.token.covers(call.account)
    if not known or call.orders or HEADER in request.headers:
        return None
    parts = parts_of(request)
    steps = parts.verbs.cancel(
        call.account,
        call.order_id,
        pair=call.pair,
        side=call.side,
        client_order_id=call.client_order_id,
    )
    caller.note("cancel", target, call.account)
    entry = entry_of(request.scope["state"], ACCEPTED) or ""
    admission = Admission(caller.token.digest, caller.record, parts.rate, entry)
    try:
        ticket = await parts.redis.carry(admitted(steps, admission))
    except (InvalidCommand, UnknownAccount, NotAdmittedError):
        ticket = None
    caller.noted()
    return ticket


@router.post("/v1/cancel-all", status_code=ACCEPTED, response_model=Jobs, operation_id="cancel_all")
async def cancel_all(caller: Canceler, call: CancelAll) -> JSONResponse:
    """Accept a cancel of all open orders of a scope."""
    prefix = f"client ids {call.client_id_prefix}…" if call.client_id_prefix else None
    scope = " ".join(filter(None, (call.pair, call.side, prefix))) or "everything"
    caller.note("cancel-all", scope, call.account)
    caller.require(call.account)
    parts = parts_of(caller.request)

    async def run() -> Any:  # noqa: ANN401  JSON
        steps = parts.verbs.cancel_all(
            call.account,
            pair=call.pair,
            side=call.side,
            client_id_prefix=call.client_id_prefix,
            stops=call.stops,
            hold_ms=call.hold_ms,
        )
        ticket = await parts.redis.carry(steps)
        return {"jobs": [accepted(ticket)]}

    return await once(caller, call, run, status=ACCEPTED)


@router.delete("/v1/holds/{job_id}", status_code=NO_CONTENT, operation_id="end_hold")
async def end_hold(caller: Canceler, job_id: JobId) -> Response:
    """End the hold of a cancel-all: its job ends once the scope is listed as empty."""
    caller.note("end-hold", job_id)
    redis = parts_of(caller.request).redis
    job = await redis.carry(reading_job(job_id))
    if job is not None:
        caller.require(job.account)
        caller.note("end-hold", job_id, job.account)
    if job is None or not await redis.carry(ending_hold(job_id)):
        raise not_found("unknown-hold", "no cancel-all with this id keeps its scope empty now")
    return Response(status_code=NO_CONTENT)


class Form(NamedTuple):
    """What the orders of one `cancel_many` have in common."""

    pair: str | None
    side: str | None
    by_client: bool

    def of(self, ids: list[str]) -> dict[str, Any]:
        """Return the arguments of `cancel_many` for orders of this form."""
        named = {"client_order_ids": ids, "order_ids": []} if self.by_client else {"order_ids": ids}
        return {"pair": self.pair, "side": self.side, **named}


async def _cancel_each(parts: Parts, call: Cancels, orders: Sequence[Order]) -> list[AsyncTicket]:
    """Enqueue the orders, those that have the same form together; in the given order."""
    groups: dict[Form, list[str]] = {}
    forms = []
    for each in orders:
        form = Form(each.pair or call.pair, each.side or call.side, each.order_id is None)
        forms.append(form)
        groups.setdefault(form, []).append(each.order_id or each.client_order_id or "")
    if len(orders) > 1:  # the call is all or nothing
        for form, ids in _parts(groups):
            await parts.redis.carry(parts.verbs.check_cancels(call.account, **form.of(ids)))
    tickets: dict[Form, list[AsyncTicket]] = {form: [] for form in groups}
    for form, ids in _parts(groups):
        steps = parts.verbs.cancel_many(call.account, **form.of(ids))
        tickets[form] += await parts.redis.carry(steps)
    made = {form: iter(each) for form, each in tickets.items()}
    return [next(made[form]) for form in forms]


def _parts(groups: Mapping[Form, list[str]]) -> Iterator[tuple[Form, list[str]]]:
    """Yield the groups in parts, between which the event loop serves others."""
    for form, ids in groups.items():
        for first in range(0, len(ids), CHUNK):
            yield form, ids[first : first + CHUNK]
