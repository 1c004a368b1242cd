"""Background loop that keeps the exchanges' lists of pairs fresh."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from worker import clock
from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSession
from worker.gateway.pair_lists import FETCH_MS, PairLists
from worker.model.names import lane_of
from worker.model.pairs import Freshness
from worker.policy.pair_proofs import lists_pairs
from worker.store.pair_lists import SharedPairLists

log = logging.getLogger(__name__)

LOOK_MS = 500
"""Maximum time until a worker sees that a producer asks for a newer list."""
GAP_MS = 1_000
"""From one fetch to the next, however often a newer list is asked for."""
RETRY_MS = 5_000
RETRY_MAX_MS = 300_000
"""From a fetch that failed to the next one, twice as long each time."""


@dataclass(slots=True)
class _Site:
    """One site of an exchange: its accounts, and when it may be asked again."""

    sessions: list[AccountSession]
    retry_ms: int = RETRY_MS
    not_before_ms: float = 0.0
    announced: bool = False


class PairRefresh:
    """A thread that fetches lists that are missing, old, or asked for.

    Without Redis it waits. What it cannot fetch it asks for again, less and less often; the
    former list stays.

    Args:
        accounts: Of this process.
        lists: Fetches.
        shared: Says how old the lists are.
    """

    def __init__(
        self, accounts: Sequence[AccountSession], lists: PairLists, shared: SharedPairLists
    ) -> None:
        self._lists = lists
        self._shared = shared
        self._sites: dict[str, _Site] = {}
        for each in accounts:
            if lists_pairs(each.exchange):
                self._sites.setdefault(each.site, _Site([])).sessions.append(each)

    def start(self, stopping: threading.Event) -> None:
        """Start the thread, unless no exchange lists its pairs; it ends once `stopping` is set."""
        if self._sites:
            thread = threading.Thread(
                target=self._run, args=(stopping,), name="pair-lists", daemon=True
            )
            thread.start()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            for name, site in self._sites.items():
                if stopping.is_set():
                    return
                try:
                    self.look(name, site)
                except StoreUnavailable:
                    site.announced = False
                except Exception:
                    log.exception("the list of an exchange's pairs could not be fetched")
                    site.not_before_ms = clock.monotonic_ms() + RETRY_MAX_MS
            clock.wait_ms(stopping, LOOK_MS)

    def look(self, name: str, site: _Site) -> None:
        """Fetch the list of a site if it is due.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        fresh = self._shared.freshness(name)
        if not fresh.fetched_ms:
            site.announced = False
        if not site.announced:
            lanes = [lane_of(each.exchange.name, each.alias) for each in site.sessions]
            self._shared.announce(lanes, name)
            site.announced = True
        session = site.sessions[0]
        if not is_due(fresh, session.exchange.capabilities.pair_list_max_ms):
            self._lists.shared(session, newer_than_ms=fresh.fetched_ms - 1)
            return
        now = clock.monotonic_ms()
        if now < site.not_before_ms:
            return
        if self._lists.fetch(session, until_ms=now + FETCH_MS) is not None:
            site.retry_ms, site.not_before_ms = RETRY_MS, now + GAP_MS
            return
        site.not_before_ms = clock.monotonic_ms() + site.retry_ms
        site.retry_ms = min(RETRY_MAX_MS, 2 * site.retry_ms)


def is_due(fresh: Freshness, max_ms: int) -> bool:
    """Return whether a list is missing, old, or older than one that is asked for."""
    old = fresh.now_ms - fresh.fetched_ms >= max_ms
    return not fresh.fetched_ms or old or fresh.wanted_ms >= fresh.fetched_ms
