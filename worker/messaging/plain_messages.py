"""Process messages of plain Celery clients: cancels become jobs, countdowns set switches."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import tenacity

from worker import clock
from worker.client.arming import native_terms, overlap_text, timers_of
from worker.client.pair_names import naming_pairs
from worker.client.switch import urgent_bell
from worker.errors import InvalidCommand, StoreUnavailable, SwitchOverlap
from worker.exchanges.base import Exchange
from worker.messaging.runtime import Runtime
from worker.model.commands import ListOpenOrders
from worker.model.constants import EVERYTHING
from worker.model.jobs import Kind, NewJob
from worker.model.messages import CancelMessage, CountdownMessage
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.model.switches import PairsReply
from worker.policy.holding import holding_of
from worker.policy.phases import check_cancel, check_switch, spelled

STALE = "stale: nothing changed"
RECORD_S = 5.0
"""How long to retry while Redis does not record a job."""


def accept_cancel(parts: Runtime, message: CancelMessage, *, task_id: str) -> tuple[str, str]:
    """Create the job of a message. A message that is delivered twice creates one job.

    Returns:
        The job's id and its lane.

    Raises:
        InvalidCommand: The message is not a valid cancel.
        StoreUnavailable: Redis did not record the job within `RECORD_S`.
    """
    exchange = parts.exchange(message.account)
    named = spelled(exchange, message.pair)
    client_id = message.client_order_id
    check_cancel(
        exchange,
        order_id=message.order_id,
        pair=named,
        side=message.side,
        client_order_id=client_id,
    )
    order = (message.order_id or f"client {client_id}", named or "", message.side or "")
    lane = lane_of(exchange.name, message.account)

    def accept(job_id: str) -> str:
        job = NewJob(
            job_id,
            lane,
            Kind.CANCEL,
            order_id=message.order_id,
            pair=named or "",
            side=message.side or "",
            client_order_id=client_id or "",
        )
        (accepted,) = parts.ledger.accept([job], follows=True)
        if accepted.fresh:
            return accepted.id
        known = parts.ledger.get(accepted.id)
        same = known and (known.order_id or "", known.client_order_id)
        if known is None or (known.lane, same) == (lane, (message.order_id, client_id)):
            return accepted.id
        # The client reused a task id for another order: create a job for each order.
        return accept(f"{job_id}.{hashlib.sha256(repr((lane, order)).encode()).hexdigest()[:16]}")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StoreUnavailable),
        stop=tenacity.stop_after_delay(RECORD_S),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=0.5),
        sleep=lambda seconds: clock.sleep_ms(seconds * 1_000),
        reraise=True,
    )
    return retrying(lambda: accept(f"t-{task_id}")), lane


def move_switch(
    parts: Runtime, message: CountdownMessage, *, task_id: str, again: bool = False
) -> str:
    """Arm, renew or disarm the switch of a countdown message's pairs.

    A former switch of these pairs that tripped may still cancel new orders. The new
    switch then waits with its deadline running, and workers arm it afterwards.

    Args:
        parts: Runtime of this process.
        message: The parsed message.
        task_id: Id of the message; the same for each delivery.
        again: Whether this may be a redelivery. A redelivered message without `sent_ms`
            never extends a deadline, and disarms nothing that it disarmed before.

    Returns:
        What was done, as the task's result in Flower.

    Raises:
        InvalidCommand: The message is invalid. Nothing was changed.
        StoreUnavailable: Redis did not answer. Retrying is safe.
    """
    exchange = parts.exchange(message.account)
    exchange, account, pairs = timers_of(
        parts.settings, exchange, message.account, message.pairs, everything=message.everything
    )
    try:
        pairs = parts.switches.carry(naming_pairs(exchange, account, pairs))
    except InvalidCommand:
        if message.timeout_ms:
            raise  # a pair that is no longer listed can still be disarmed
    message = replace(message, account=account, pairs=pairs)
    bell = urgent_bell(exchange.name)
    if message.timeout_ms == 0:
        return _disarm(parts, exchange, message, bell, task_id=task_id, again=again)
    bounds = parts.settings.switches
    check_switch(
        exchange,
        pairs=message.pairs,
        order_ids=(),
        timeout_ms=message.timeout_ms,
        shortest_ms=bounds.min_timeout_ms,
        longest_ms=bounds.max_timeout_ms,
        everything=message.everything,
    )
    holding = holding_of(
        exchange,
        everything=message.everything,
        timeout_ms=message.timeout_ms,
        pairs=len(message.pairs),
    )
    shortest_ms, budget = native_terms(parts.settings, message.account)
    armed = parts.switches.arm(
        switch_id=new_id(),
        lane=lane_of(exchange.name, message.account),
        account=message.account,
        native=holding.timer,
        pairs=(EVERYTHING,) if message.everything else message.pairs,
        order_ids=(),
        timeout_ms=message.timeout_ms,
        bell=bell,
        shortest_ms=shortest_ms,
        budget=budget,
        by_workers=holding.by_workers,
        partly=holding.partly,
        mode="again" if again and message.sent_ms is None else "touch",
        sent_ms=message.sent_ms or 0,
    )
    if armed.overlaps:
        raise SwitchOverlap(overlap_text(armed.switch_id, armed.overlaps))
    if armed.waiting:
        return f"{armed.switch_id} will be armed once a former switch's orders are listed"
    return f"armed {armed.switch_id}" if armed.switch_id else STALE


def _disarm(
    parts: Runtime,
    exchange: Exchange,
    message: CountdownMessage,
    bell: tuple[str, str],
    *,
    task_id: str,
    again: bool,
) -> str:
    for pair in message.pairs:
        exchange.check(ListOpenOrders(pair=pair))
    reply, switch_id, held = parts.switches.disarm_pairs(
        lane_of(parts.settings.account(message.account).exchange, message.account),
        (EVERYTHING,) if message.everything else message.pairs,
        bell,
        sent_ms=message.sent_ms or 0,
        message=task_id,
        again=again,
    )
    match reply:
        case PairsReply.OVERLAP:
            raise SwitchOverlap(f"switch {switch_id} covers {held.replace(',', ', ')}")
        case PairsReply.TRIPPED:
            return f"too late: switch {switch_id} has tripped"
        case PairsReply.STALE:
            return STALE
        case PairsReply.NONE:
            return "no such switch"
        case PairsReply.DISARMED:
            return "disarmed"
