"""`/v1/switches` and heartbeats by a secret address."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from worker import clock
from worker.client.async_switch import AsyncSwitch
from worker.errors import SwitchClearing
from worker.model.authority import Verb
from worker.model.switches import SwitchRecord
from worker.store.beat_addresses import creating_address
from worker.store.switch_listing import every_switch
from worker.store.trips import acknowledging, reading_trips
from worker.web.answers import Armed, Beaten, SwitchAnswer, SwitchList, Tracked
from worker.web.authority import Caller, Needs, known
from worker.web.bodies import Arm, BeatOf, Orders
from worker.web.once import once
from worker.web.parts import Parts, parts_of
from worker.web.problems import Refused, documented, not_found

router = APIRouter(tags=["switches"], responses=documented(400, 401, 403, 404, 409, 429, 503))
Reader = Annotated[Caller, Depends(Needs(Verb.READ))]
Holder = Annotated[Caller, Depends(Needs(Verb.SWITCH))]
Operator = Annotated[Caller, Depends(Needs(Verb.OPERATE))]
SwitchId = Annotated[str, Path(min_length=1, max_length=64)]
Epoch = Annotated[int, Query(ge=0, description="Only as the holder of this arming; 0 for any.")]
CREATED, NO_CONTENT = 201, 204
LOOK_BACK = 1_000
NAMED = 10
"""Most names in an entry of the audit log."""
CLEAR_LOOK_S = 0.1


@router.post("/v1/switches", status_code=CREATED, response_model=Armed, operation_id="arm")
async def arm(caller: Holder, call: Arm) -> JSONResponse:
    """Arm a switch; the same scope again is taken over from its holder."""
    caller.note("arm", " ".join(_named(call)), call.account)
    caller.require(call.account)
    until_ms = clock.monotonic_ms() + call.clear_wait_ms
    while True:
        try:
            return await _arm(caller, call)
        except SwitchClearing:
            if clock.monotonic_ms() >= until_ms:
                raise
            await asyncio.sleep(CLEAR_LOOK_S)


def _named(call: Arm) -> list[str]:
    """Return what an entry of the audit log names of a scope."""
    prefix = [f"client ids {call.client_id_prefix}…"] if call.client_id_prefix else []
    orders = [*call.order_ids, *(f"client id {each}" for each in call.client_order_ids)]
    every = [*filter(None, [call.name]), *prefix, *call.pairs, *orders]
    return every[:NAMED]


async def _arm(caller: Caller, call: Arm) -> JSONResponse:
    parts = parts_of(caller.request)

    async def run() -> Any:  # noqa: ANN401  JSON
        steps = parts.verbs.arm(
            call.account,
            pairs=call.pairs,
            order_ids=call.order_ids,
            client_order_ids=call.client_order_ids,
            client_id_prefix=call.client_id_prefix,
            stops=call.stops,
            everything=call.everything,
            timeout_ms=call.timeout_ms,
            name=call.name,
            replace=call.replace,
        )
        switch = await parts.redis.carry(steps)
        return {
            "id": switch.id,
            "epoch": switch.epoch,
            "deadline_ms": switch.deadline_ms,
            "held": switch.held,
            "held_why": switch.held_why,
        }

    async def address(body: Mapping[str, Any]) -> Mapping[str, Any]:
        made = creating_address(body["id"], body["epoch"], timeout_ms=call.timeout_ms)
        secret = await parts.redis.carry(made)
        return {"beat_url": f"/v1/beat/{secret}"}

    return await once(caller, call, run, status=CREATED, secret=address)


@router.post("/v1/switches/{switch_id}/beat", response_model=Beaten, operation_id="beat")
async def beat(caller: Holder, switch_id: SwitchId, call: BeatOf | None = None) -> JSONResponse:
    """Send a heartbeat: the deadline moves to one timeout from now, or from `sent_ms`."""
    call = call or BeatOf()
    found = await _own(caller, switch_id, call.epoch)
    return await _beaten(parts_of(caller.request), found, call.sent_ms)


@router.post("/v1/switches/{switch_id}/track", response_model=Tracked, operation_id="track")
async def track(caller: Holder, switch_id: SwitchId, call: Orders) -> JSONResponse:
    """Add orders to the scope."""
    found = await _own(caller, switch_id, call.epoch)
    await found.track(*call.order_ids, client_order_ids=call.client_order_ids)
    return _tracked(call)


@router.post("/v1/switches/{switch_id}/untrack", response_model=Tracked, operation_id="untrack")
async def untrack(caller: Holder, switch_id: SwitchId, call: Orders) -> JSONResponse:
    """Remove orders from the scope."""
    found = await _own(caller, switch_id, call.epoch)
    await found.untrack(*call.order_ids, client_order_ids=call.client_order_ids)
    return _tracked(call)


def _tracked(call: Orders) -> JSONResponse:
    return JSONResponse({"tracked": len(call.order_ids) + len(call.client_order_ids)})


@router.delete("/v1/switches/{switch_id}", status_code=NO_CONTENT, operation_id="disarm")
async def disarm(caller: Holder, switch_id: SwitchId, epoch: Epoch = 0) -> Response:
    """End a switch; its orders stay open."""
    caller.note("disarm", switch_id)
    switch = await _own(caller, switch_id, epoch)
    caller.note("disarm", switch_id, switch.account)
    await switch.disarm()
    return Response(status_code=NO_CONTENT)


@router.post("/v1/switches/{switch_id}/ack", status_code=NO_CONTENT, operation_id="acknowledge")
async def acknowledge(caller: Operator, switch_id: SwitchId) -> Response:
    """Note that a person has seen a tripped switch; it is then no problem any more."""
    caller.note("acknowledge", switch_id)
    parts = parts_of(caller.request)
    trips = await parts.redis.carry(reading_trips())
    found = next((trip for trip in trips if trip["id"] == switch_id), None)
    account = found["account"] if found else (await _record(parts, switch_id)).account
    caller.require(account)
    caller.note("acknowledge", switch_id, account)
    if not await parts.redis.carry(acknowledging(switch_id)):
        raise not_found(
            "unknown-switch", f"switch {switch_id!r} has not tripped, or is acknowledged already"
        )
    return Response(status_code=NO_CONTENT)


@router.post("/v1/beat/{secret}", response_model=Beaten, operation_id="beat_by_address")
async def beat_by_address(
    request: Request,
    secret: Annotated[str, Path(min_length=1, max_length=128)],
    sent_ms: Annotated[int | None, Query(ge=0)] = None,
) -> JSONResponse:
    """Send a heartbeat by a switch's secret address; needs no token."""
    parts = parts_of(request)
    found = await known(request, parts, await parts.beating.at(secret))
    return await _beaten(parts, found, sent_ms)


@router.get("/v1/switches", response_model=SwitchList, operation_id="switches")
def switches(
    caller: Reader,
    account: Annotated[str | None, Query(max_length=64)] = None,
    name: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[str | None, Query(max_length=16)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> JSONResponse:
    """Return switches, the nearest deadline first, then the ended ones, latest first."""
    if account is not None:
        caller.require(account)
    parts = parts_of(caller.request)
    now_ms = parts.listing.now_ms()
    found = (
        record.describe(now_ms)
        for record in every_switch(parts.switches, look_back=LOOK_BACK)
        if caller.token.covers(record.account)
        and account in (None, record.account)
        and name in (None, record.name)
        and state in (None, record.state)
    )
    return JSONResponse({"now_ms": now_ms, "switches": [*islice(found, limit)]})


@router.get("/v1/switches/{switch_id}", response_model=SwitchAnswer, operation_id="switch")
async def switch(caller: Reader, switch_id: SwitchId) -> JSONResponse:
    """Return one switch."""
    parts = parts_of(caller.request)
    record = await _record(parts, switch_id)
    caller.require(record.account)
    return JSONResponse(record.describe(await parts.now_ms()))


async def _record(parts: Parts, switch_id: str) -> SwitchRecord:
    record = await parts.beating.record(switch_id)
    if record is None:
        raise not_found(
            "unknown-switch",
            f"switch {switch_id[:64]!r} does not exist, or its record has expired",
        )
    return record


async def _own(caller: Caller, switch_id: str, epoch: int) -> AsyncSwitch:
    found = await parts_of(caller.request).beating.switch(switch_id, epoch=epoch)
    caller.require(found.account)
    return found


async def _beaten(parts: Parts, found: AsyncSwitch, sent_ms: int | None) -> JSONResponse:
    since_ms = None if sent_ms is None else await _since_ms(parts, found, sent_ms)
    sent = await found.beat(since_ms=since_ms)
    return JSONResponse({"left_ms": sent.left_ms, "in_time": sent.in_time})


async def _since_ms(parts: Parts, found: AsyncSwitch, sent_ms: int) -> float:
    """Return when a heartbeat was sent, on the local clock.

    Raises:
        Refused: It is older than a timeout: it says nothing about now.
    """
    age_ms = await parts.now_ms() - sent_ms
    read_ms = clock.monotonic_ms()
    record = await _record(parts, found.id)
    if age_ms > record.timeout_ms:
        raise Refused(
            HTTPStatus.CONFLICT,
            "late-heartbeat",
            f"the heartbeat was sent {age_ms} ms ago, longer than the timeout of "
            f"{record.timeout_ms} ms; it changed nothing",
        )
    return read_ms - age_ms
