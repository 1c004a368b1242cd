"""Which workers live, and which accounts they serve."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from worker.model.limits import Budget
from worker.model.names import key_name
from worker.store.budgets import showing_budgets
from worker.store.connection import Store
from worker.store.listing import Listing
from worker.store.orphans import Astray

KEEP_MS = 86_400_000
"""How long Redis remembers the lanes of workers that are gone."""


class Presence(Listing):
    """What workers share in one Redis about themselves and their accounts.

    Every method raises `StoreUnavailable` when Redis does not answer; asking again is safe.
    """

    def __init__(self, store: Store, *, digest: str = "") -> None:
        """Claimants give the `digest` of the lanes they serve."""
        super().__init__(store)
        self._digest = digest
        self._born = ""
        self.astray = Astray(store)
        self.owes = False
        """Whether after a failover this worker is to report what it was granted."""
        self.contested: list[str] = []
        """Accounts that other living workers have another key for; see `register`."""
        self.strays = False
        """Whether there are strays that a person is to be alerted of."""

    def heartbeat(self, worker: str, *, ttl_ms: int) -> tuple[int, bool]:
        """Say that a worker lives; return Redis time and whether its lanes are known."""
        args = (worker, ttl_ms, self._digest, KEEP_MS, self._born)
        answer = self._store.run("heartbeat", *args)
        now, registered, self._born, owes, strays = answer
        self.owes, self.strays = owes == 1, strays == 1
        return int(now), registered == 1

    def show_budgets(self, budgets: Iterable[Budget]) -> None:
        """Record the rate limits of the accounts that this worker serves, as they are now."""
        self._store.carry(showing_budgets(self._digest, budgets, keep_ms=KEEP_MS))

    def ticked(self) -> None:
        """Note that a heartbeat of Celery beat has just been run."""
        self._store.run("tick")

    def register(
        self,
        accounts: Iterable[tuple[str, str, int]],
        *,
        native: Collection[str] = (),
        bulk: Mapping[str, int] | None = None,
        identities: Mapping[str, str] | None = None,
        nonces: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Register accounts: alias, exchange, width.

        Args:
            accounts: Width 0 for any number of requests at a time, 1 for one.
            native: Exchanges that keep countdowns themselves.
            bulk: Most orders in one request, by alias, where that is not 1.
            identities: By alias; accounts that share one are one account.
            nonces: By alias, the key ids of accounts that need nonces; see `store.nonces`.

        Returns:
            The lanes to serve, each with the alias of the account that it belongs to.

        After it `contested` names the accounts that other living workers have another
        key for.
        """
        parts = [
            part
            for alias, exchange, width in accounts
            for part in (
                alias,
                key_name(exchange),
                width,
                int(exchange in native),
                (bulk or {}).get(alias, 1),
                (identities or {}).get(alias, ""),
                (nonces or {}).get(alias, ""),
            )
        ]
        head = (self._digest, KEEP_MS)
        served = self._store.run("register", *head, *parts)
        rows = list(zip(served[::2], served[1::2], strict=True))
        self.contested = [alias for lane, alias in rows if not lane]
        return {lane: alias for lane, alias in rows if lane}
