"""Switches over HTTP: one Redis call each, once a switch is known."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from worker import clock
from worker.client.async_switch import AsyncSwitch
from worker.errors import SwitchUnknown
from worker.exchanges import EXCHANGES
from worker.model.authority import digest_of
from worker.model.names import exchange_of
from worker.model.switches import SwitchRecord
from worker.store.async_store import AsyncStore
from worker.store.beat_addresses import finding_address
from worker.store.switch_steps import reading_switch

T = TypeVar("T")
KNOWN_MAX = 20_000
"""Most switches and addresses that are remembered; one used least recently is read again."""
FRESH_MS = 3_600_000
"""How long an address is taken from memory; its use then keeps it in Redis."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: str
    exchange: str
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Address:
    switch_id: str
    epoch: int
    until_ms: float


class Beating:
    """Makes switches of their ids. What is remembered of a switch never changes."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    async def at(self, secret: str) -> AsyncSwitch | None:
        """Return the switch of a secret address, as its holder; None if it is unknown.

        Raises:
            SwitchUnknown: The record of the switch has expired.
            StoreUnavailable: Redis did not answer.
        """
        digest, now_ms = digest_of(secret), clock.monotonic_ms()
        address = self._addresses.get(digest)
        if address is None or address.until_ms < now_ms:
            found = await self._store.carry(finding_address(digest))
            if found is None:
                return None
            address = _Address(*found, now_ms + FRESH_MS)
            _keep(self._addresses, digest, address)
        return await self.switch(address.switch_id, epoch=address.epoch)

    async def switch(self, switch_id: str, *, epoch: int = 0) -> AsyncSwitch:
        """Return a switch, as the holder of an epoch; 0 for any.

        Raises:
            SwitchUnknown: No such switch, or its record has expired.
            StoreUnavailable: Redis did not answer.
        """
        known = await self._lookup(switch_id)
        exchange = EXCHANGES[known.exchange]
        return AsyncSwitch(
            self._store,
            exchange,
            switch_id=switch_id,
            account=known.account,
            epoch=epoch,
            pairs=known.pairs,
        )

    async def _lookup(self, switch_id: str) -> _Known:
        if known := self._known.get(switch_id):
            self._known.move_to_end(switch_id)
            return known
        record = await self.record(switch_id)
        if record is None:
            raise SwitchUnknown(
                f"switch {switch_id[:64]!r} does not exist, or its record has expired"
            )
        known = _Known(record.account, exchange_of(record.lane), record.pairs)
        _keep(self._known, switch_id, known)
        return known

    async def record(self, switch_id: str) -> SwitchRecord | None:
        """Return the record of a switch, or None without one.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return await self._store.carry(reading_switch(switch_id)) if switch_id.isalnum() else None


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KNOWN_MAX:
        kept.popitem(last=False)
