"""What a worker says of a Redis that may lose what it was given."""

from __future__ import annotations

import logging

from worker.errors import StoreUnavailable
from worker.store.connection import Store
from worker.store.durability import Fault, faults, read_facts
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)


class RedisDurability:
    """Looks at how Redis is set up, and says each thing once.

    Worth another look whenever Redis was away: it may be another one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said: set[Fault] = set()

    def look(self) -> None:
        """Warn of what is wrong, with the mend; raise an alert if jobs may be lost by it."""
        try:
            found = set(faults(read_facts(self._store)))
        except StoreUnavailable as error:
            mend = "allow this user INFO, or run `cancel-worker check` as one who may"
            found = {Fault("set-up", f"could not be checked: {error}", mend, loses=False)}
        for fault in sorted(found - self._said, key=lambda fault: fault.subject):
            text = f"redis {fault.subject}: {fault.detail}; {fault.mend}"
            log.warning(text)
            if fault.loses:
                alert("redis not durable", text)
        self._said = found
