"""Heartbeats over HTTP: one Redis call each, once a switch is known."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from worker.client.switch import Beat, Switch
from worker.errors import SwitchUnknown
from worker.exchanges import EXCHANGES
from worker.model.names import exchange_of
from worker.store.switches import Switches

KNOWN_MAX = 20_000
"""Most switches that are remembered; one used least recently is read again."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: str
    exchange: str
    pairs: tuple[str, ...]


class Beating:
    """Makes switches of their ids. What is remembered of a switch never changes.

    Safe to use from many threads.
    """

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def switch(self, switch_id: str, *, epoch: int = 0) -> Switch:
        """Return a switch, as the holder of an epoch; 0 for any.

        Raises:
            SwitchUnknown: No such switch, or its record has expired.
            StoreUnavailable: Redis did not answer.
        """
        known = self._lookup(switch_id)
        exchange = EXCHANGES[known.exchange]
        return Switch(
            self._switches,
            exchange,
            switch_id=switch_id,
            account=known.account,
            epoch=epoch,
            pairs=known.pairs,
        )

    def beat(self, switch_id: str, *, epoch: int = 0) -> Beat:
        """Send a heartbeat.

        Raises:
            SwitchError: As `Switch.beat`.
            StoreUnavailable: Redis did not answer.
        """
        return self.switch(switch_id, epoch=epoch).beat()

    def _lookup(self, switch_id: str) -> _Known:
        with self._lock:
            if known := self._known.get(switch_id):
                self._known.move_to_end(switch_id)
                return known
        record = self._switches.get(switch_id) if switch_id.isalnum() else None
        if record is None:
            raise SwitchUnknown(
                f"switch {switch_id[:64]!r} does not exist, or its record has expired"
            )
        known = _Known(record.account, exchange_of(record.lane), record.pairs)
        with self._lock:
            self._known[switch_id] = known
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return known
