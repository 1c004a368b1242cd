"""Warn about a Redis configuration that may lose accepted data."""

from __future__ import annotations

import logging

from worker.errors import StoreUnavailable
from worker.store.connection import Store
from worker.store.durability import Fault, faults, read_facts
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)


class RedisDurability:
    """Checks the configuration of Redis and reports each fault once.

    Check again after each outage: another server may answer then.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reported: set[Fault] = set()

    def check(self) -> None:
        """Log each new fault with its fix; raise an alert if it may lose jobs."""
        try:
            found = set(faults(read_facts(self._store)))
        except StoreUnavailable as error:
            fix = "allow this user INFO, or run `cancel-worker check` as a user with INFO"
            found = {Fault("configuration", f"could not be checked: {error}", fix, loses=False)}
        for fault in sorted(found - self._reported, key=lambda fault: fault.subject):
            text = f"redis {fault.subject}: {fault.detail}; {fault.mend}"
            log.warning(text)
            if fault.loses:
                alert("redis not durable", text)
        self._reported = found
