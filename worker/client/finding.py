"""Find switches that were armed elsewhere."""

from __future__ import annotations

from worker.client.switch import Switch
from worker.errors import SwitchUnknown
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Exchange
from worker.model.names import exchange_of, lane_of
from worker.model.switches import why_held
from worker.store.switches import Switches


def find_switch(switches: Switches, switch_id: str, *, epoch: int) -> Switch:
    """Return a switch by its id; see `Producer.switch`."""
    record = switches.get(switch_id) if switch_id.isalnum() else None
    if record is None:
        raise SwitchUnknown(f"switch {switch_id[:64]!r} does not exist, or its record has expired")
    return Switch(
        switches,
        EXCHANGES[exchange_of(record.lane)],
        switch_id=switch_id,
        account=record.account,
        epoch=epoch,
        deadline_ms=record.deadline_ms,
        held=record.held,
        held_why=why_held(record.held_why, native=record.native),
        name=record.name,
        timeout_ms=record.timeout_ms,
    )


def named_switch(switches: Switches, exchange: Exchange, account: str, name: str) -> str:
    """Return the id of an account's armed switch by its name.

    Raises:
        SwitchUnknown: No armed switch of the account has this name.
    """
    found = switches.named(lane_of(exchange.name, account), name)
    if not found:
        raise SwitchUnknown(f"no armed switch of account {account} has the name {name[:64]!r}")
    return found
