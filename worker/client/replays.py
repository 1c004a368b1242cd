"""Replay dead letters: enqueue their commands again, as new jobs."""

from __future__ import annotations

from worker.errors import InvalidCommand
from worker.exchanges.base import Exchange
from worker.model.jobs import Job, Kind, NewJob
from worker.model.messages import DRAIN
from worker.model.settlements import Accepted, new_id
from worker.policy.phases import check_cancel, check_cancel_all, spelled
from worker.store.doorbell import ring
from worker.store.job_steps import accepting
from worker.store.steps import Steps


def refuse_replay(dead: Job) -> None:
    """Refuse a dead letter that no account can make replayable.

    Raises:
        InvalidCommand: It is a malformed message, or a newer version wrote it.
    """
    if dead.kind is Kind.MALFORMED:
        raise InvalidCommand("a malformed message cannot be replayed; send it again, or discard it")
    if dead.foreign:
        raise InvalidCommand(f"a newer version wrote {dead.id}: replay it with that version")


def check_replay(dead: Job, exchange: Exchange) -> None:
    """Refuse a replay that the account's exchange could not be sent.

    Raises:
        InvalidCommand: The account is on another exchange, or the command is invalid.
    """
    if exchange.name != dead.exchange:
        raise InvalidCommand(
            f"account {dead.account} is on {exchange.name} now, the order on {dead.exchange}"
        )
    if dead.kind is Kind.CANCEL:
        check_cancel(
            exchange,
            order_id=dead.order_id or "",
            pair=dead.pair,
            side=dead.side,
            client_order_id=dead.client_order_id,
        )
    else:
        check_cancel_all(
            exchange, pair=dead.pair, side=dead.side, client_id_prefix=dead.client_id_prefix
        )


def replaying(dead: Job, exchange: Exchange) -> Steps[Accepted]:
    """Record a dead letter's command as a new job, whose parent it is."""
    job = NewJob(
        id=new_id(),
        lane=dead.lane,
        kind=dead.kind,
        order_id=dead.order_id or "",
        pair=spelled(exchange, dead.pair) or "",
        side=dead.side or "",
        parent=dead.id,
        client_order_id=dead.client_order_id or "",
        client_id_prefix=dead.client_id_prefix or "",
        stop=dead.stop,
        stops=dead.stops,
    )
    bell = ring(DRAIN, {"exchange": exchange.name}, queue=exchange.name)
    (accepted,) = yield from accepting([job], [bell])
    return accepted
