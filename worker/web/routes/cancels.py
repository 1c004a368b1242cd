"""`POST /v1/cancels` and `/v1/cancel-all`; `DELETE /v1/holds`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse

from worker.client.producer import Producer
from worker.client.ticket import Ticket
from worker.model.authority import Verb
from worker.web.answers import Accepted, Jobs, accepted
from worker.web.authority import Caller, Needs
from worker.web.bodies import CancelAll, Cancels, Order
from worker.web.once import once
from worker.web.parts import parts_of
from worker.web.problems import documented, not_found

router = APIRouter(tags=["cancels"], responses=documented(400, 401, 403, 404, 409, 429, 503))
Canceler = Annotated[Caller, Depends(Needs(Verb.CANCEL))]
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
def cancel(caller: Canceler, call: Cancels) -> JSONResponse:
    """Accept cancels of one order or of several; answered once they are recorded."""
    orders = call.orders or [Order(order_id=call.order_id, client_order_id=call.client_order_id)]
    named = [each.order_id or f"client id {each.client_order_id}" for each in orders[:NAMED]]
    caller.note("cancel", " ".join(named), call.account)
    caller.require(call.account)
    producer = parts_of(caller.request).producer

    def run() -> Any:  # noqa: ANN401  one JSON object or a list
        made = [accepted(ticket) for ticket in _cancel_each(producer, call, orders)]
        return made if call.orders else made[0]

    return once(caller, call, run, status=ACCEPTED)


@router.post("/v1/cancel-all", status_code=ACCEPTED, response_model=Jobs, operation_id="cancel_all")
def cancel_all(caller: Canceler, call: CancelAll) -> JSONResponse:
    """Accept a cancel of all open orders of a scope."""
    prefix = f"client ids {call.client_id_prefix}…" if call.client_id_prefix else None
    scope = " ".join(filter(None, (call.pair, call.side, prefix))) or "everything"
    caller.note("cancel-all", scope, call.account)
    caller.require(call.account)
    producer = parts_of(caller.request).producer

    def run() -> Any:  # noqa: ANN401  JSON
        ticket = producer.cancel_all(
            call.account,
            pair=call.pair,
            side=call.side,
            client_id_prefix=call.client_id_prefix,
            stops=call.stops,
            hold_ms=call.hold_ms,
        )
        return {"jobs": [accepted(ticket)]}

    return once(caller, call, run, status=ACCEPTED)


@router.delete("/v1/holds/{job_id}", status_code=NO_CONTENT, operation_id="end_hold")
def end_hold(caller: Canceler, job_id: JobId) -> Response:
    """End the hold of a cancel-all: its job ends once the scope is listed as empty."""
    caller.note("end-hold", job_id)
    ledger = parts_of(caller.request).ledger
    job = ledger.get(job_id)
    if job is not None:
        caller.require(job.account)
        caller.note("end-hold", job_id, job.account)
    if job is None or not ledger.end_hold(job_id):
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


def _cancel_each(producer: Producer, call: Cancels, orders: Sequence[Order]) -> Iterator[Ticket]:
    """Enqueue the orders, those that have the same form together; in the given order."""
    groups: dict[Form, list[str]] = {}
    forms = []
    for each in orders:
        form = Form(each.pair or call.pair, each.side or call.side, each.order_id is None)
        forms.append(form)
        groups.setdefault(form, []).append(each.order_id or each.client_order_id or "")
    for form, ids in groups.items():
        producer.check_cancels(call.account, **form.of(ids))
    tickets = {
        form: iter(producer.cancel_many(call.account, **form.of(ids)))
        for form, ids in groups.items()
    }
    return (next(tickets[form]) for form in forms)
