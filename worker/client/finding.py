"""Find switches that were armed elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from worker.client.arming import HeldSwitchT
from worker.errors import SwitchUnknown
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Exchange
from worker.model.holders import why_held
from worker.model.names import exchange_of, lane_of
from worker.store.steps import Steps
from worker.store.switch_steps import finding_name, reading_switch


def finding_switch(
    make: Callable[..., HeldSwitchT], switch_id: str, *, epoch: int
) -> Steps[HeldSwitchT]:
    """Return a switch by its id; see `Producer.switch`."""
    record = (yield from reading_switch(switch_id)) if switch_id.isalnum() else None
    if record is None:
        raise SwitchUnknown(f"switch {switch_id[:64]!r} does not exist, or its record has expired")
    return make(
        EXCHANGES[exchange_of(record.lane)],
        switch_id=switch_id,
        account=record.account,
        epoch=epoch,
        deadline_ms=record.deadline_ms,
        held=record.held,
        held_why=why_held(record.held_why, native=record.native, orders=bool(record.orders)),
        pairs=record.pairs,
        name=record.name,
        timeout_ms=record.timeout_ms,
    )


def named_switch(exchange: Exchange, account: str, name: str) -> Steps[str]:
    """Return the id of an account's armed switch by its name.

    Raises:
        SwitchUnknown: No armed switch of the account has this name.
    """
    found = yield from finding_name(lane_of(exchange.name, account), name)
    if not found:
        raise SwitchUnknown(f"no armed switch of account {account} has the name {name[:64]!r}")
    return found
