"""This worker among the workers of one Redis: heartbeats, accounts, failovers, clock steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from worker import clock
from worker.dispatch.leases import Leases
from worker.dispatch.orphans import report
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.budgets import budgets_of
from worker.model.constants import PRESENCE_MS, STEP_MS
from worker.model.limits import Budget
from worker.model.names import switch_lane
from worker.policy.phases import holds_timers
from worker.store.due_poll import DuePoll
from worker.store.ledger import Ledger
from worker.store.nonces import key_id
from worker.store.slot_pools import PoolingLimiter
from worker.switches.reconciler import Reconciler
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)


class Membership:
    """Records in Redis that this worker is alive and which accounts it serves.

    Every method raises `StoreUnavailable` when Redis does not answer; the sweep calls again.

    Attributes:
        name: The worker's own; holders of leases begin with it.
        lanes: Names of all lanes that this worker serves, of jobs and of switches.
    """

    def __init__(
        self,
        name: str,
        *,
        accounts: AccountSessions,
        ledger: Ledger,
        leases: Leases,
        limiter: PoolingLimiter,
        reconciler: Reconciler,
        due_poll: DuePoll,
    ) -> None:
        self.name = name
        self.lanes: Collection[str] = ()
        self._accounts = accounts
        self._ledger = ledger
        self._leases = leases
        self._limiter = limiter
        self._reconciler = reconciler
        self._due_poll = due_poll
        due_poll.vote_as(name)
        self._contested: Collection[str] = ()
        self._budgets: Sequence[Budget] = ()
        self._offset_ms: int | None = None
        """Shared time less the clock of Redis's host, when last checked."""
        self._redis_ahead_ms = 0.0
        """Shared time less the local monotonic clock."""
        self._serve({})

    def now_ms(self) -> float:
        """Return shared time in Unix ms, as estimated from the last heartbeat."""
        return self._redis_ahead_ms + clock.monotonic_ms()

    def register(self) -> None:
        """Record which accounts this worker serves, and warn of accounts with two keys."""
        accounts = self._accounts.accounts
        self._serve(
            self._ledger.register(
                [(each.alias, each.exchange.name, int(each.uses_nonce)) for each in accounts],
                native={each.exchange.name for each in accounts if holds_timers(each.exchange)},
                bulk={each.alias: each.bulk_max for each in accounts},
                identities={each.alias: each.identity for each in accounts},
                nonces=_sequences(accounts),
            )
        )
        self._reconciler.register()
        self._budgets = [*budgets_of(accounts), *budgets_of(accounts, bans=True)]
        added = [alias for alias in self._ledger.contested if alias not in self._contested]
        self._contested = self._ledger.contested
        for alias in added:
            log.warning(
                "other workers have another key for account %s; that is right only while a key "
                "is replaced: else give one of the accounts another alias, or the two are mixed",
                alias,
            )

    def heartbeat(self) -> None:
        """Record that this worker is alive, and do what Redis's reply asks for."""
        # First: jobs whose claim reply was lost must not wait for the rest.
        self._leases.take_back(self.lanes)
        self._reconciler.tripped()
        now_ms, registered = self._ledger.heartbeat(self.name, ttl_ms=PRESENCE_MS)
        self._redis_ahead_ms = now_ms - clock.monotonic_ms()
        if self._ledger.owes:
            log.warning("Redis has failed over; reporting the rate slots granted before")
            self._limiter.recall(self.name)
        if not registered:
            self.register()
        self._limiter.flush()
        self._ledger.show_budgets(self._budgets)
        if self._ledger.strays:
            report(self._ledger.astray)
        self._leases.adapt_retention()

    def beat(self) -> None:
        """Heartbeat on the due poll's connection, so that a lost master is noticed on it."""
        self._due_poll.put_back()
        self.heartbeat()

    def check_clock(self) -> None:
        """Settle a step of shared time, and raise an alert if Redis's clock has stepped."""
        if self._due_poll.suspects:
            self.beat()
        known, self._offset_ms = self._offset_ms, self._due_poll.offset_ms
        if known is None or self._offset_ms is None or abs(self._offset_ms - known) <= STEP_MS:
            return
        alert(
            "clock step",
            f"the clock of Redis's host stepped by {known - self._offset_ms} ms; shared time "
            f"did not follow, and is {self._offset_ms} ms ahead of it now",
        )

    def _serve(self, lanes: Mapping[str, str]) -> None:
        self._accounts.serve(lanes)
        served = self._accounts.names
        self.lanes = served | {switch_lane(lane) for lane in served}


def _sequences(accounts: Sequence[AccountSession]) -> dict[str, str]:
    """Return the key ids of the accounts whose nonces no other account uses, by alias.

    One key on two exchanges is two accounts, which do not wait for each other.
    """
    keys = {each.alias: key_id(each.access.api_key) for each in accounts if each.uses_nonce}
    users = Counter(
        key for key, _ in {(keys[a.alias], a.identity) for a in accounts if a.alias in keys}
    )
    return {alias: key for alias, key in keys.items() if users[key] == 1}
