"""The pairs of an exchange, as this process knows them: fetched by one worker, shared by all."""

from __future__ import annotations

import logging
import threading

from worker import clock
from worker.gateway.account import AccountSession
from worker.gateway.exchange_client import ExchangeClient
from worker.gateway.ports import PairBox
from worker.gateway.tokens import NoToken, Wait
from worker.model.commands import ListPairs
from worker.model.outcomes import Answer, PairList
from worker.model.pairs import ListedPair, PairBook, names_of

log = logging.getLogger(__name__)

FETCH_MS = 30_000
"""How long fetching all lists of a site may take."""
PAGES_MAX = 100


class PairLists:
    """Lists of pairs by site. Safe to use from many threads.

    Every method that may ask Redis raises `StoreUnavailable` when it does not answer.

    Args:
        box: Where the lists are kept.
        client: Asks the exchange.
    """

    def __init__(self, box: PairBox, client: ExchangeClient) -> None:
        self._box = box
        self._client = client
        self._lock = threading.Lock()
        self.books: dict[str, PairBook] = {}
        """By site, what this process has."""

    def known(self, session: AccountSession) -> PairBook | None:
        """Return what this process has, however old; None if there is nothing. Sends nothing."""
        return self.books.get(session.site)

    def shared(self, session: AccountSession, *, newer_than_ms: int = 0) -> PairBook | None:
        """Return the newest list that any worker has fetched; None if there is none.

        Args:
            session: An account of the site.
            newer_than_ms: What this process has is enough if it was fetched after this.
        """
        book = self.known(session)
        if book is None or book.fetched_ms <= newer_than_ms:
            fetched_ms = self._box.freshness(session.site).fetched_ms
            if fetched_ms and (book is None or fetched_ms > book.fetched_ms):
                book = self._keep(session, self._box.read(session.site))
        return book

    def fetch(self, session: AccountSession, *, until_ms: float) -> PairBook | None:
        """Ask the exchange for all its pairs, and share them.

        Args:
            session: An account of the site.
            until_ms: By when, on the local monotonic clock.

        Returns:
            The new list; None if it is not available, or another worker fetches it now. What
            was known before stays.
        """
        lease_ms = min(FETCH_MS, round(until_ms - clock.monotonic_ms()))
        if lease_ms <= 0 or not self._box.begin(session.site, lease_ms=lease_ms):
            return None
        try:
            # A pair that is listed while the lists are read may be missing from them.
            begun_ms = self._box.freshness(session.site).now_ms
            pairs = self._ask(session, until_ms=clock.monotonic_ms() + lease_ms)
            if not pairs:
                return None
            book = self._box.put(session.site, names_of(pairs), fetched_ms=begun_ms)
            return self._keep(session, book)
        finally:
            self._box.end(session.site)

    def _ask(self, session: AccountSession, *, until_ms: float) -> list[ListedPair]:
        """Return the pairs of all lists and their pages; none if one is not available."""
        pairs: list[ListedPair] = []
        for part in session.exchange.capabilities.pair_lists:
            after = ""
            for _ in range(PAGES_MAX):
                answer = self._send(session, ListPairs(part, after), until_ms)
                if not isinstance(answer, PairList) or (after and answer.next == after):
                    _warn(session, answer)
                    return []
                pairs += answer.pairs
                after = answer.next
                if not after:
                    break
            else:
                return []
        return pairs

    def _send(
        self, session: AccountSession, command: ListPairs, until_ms: float
    ) -> Answer | Wait | NoToken:
        while True:
            answer = self._client.ask(session, command, until_ms=until_ms)
            if not isinstance(answer, Wait) or clock.monotonic_ms() + answer.pause_ms >= until_ms:
                return answer
            clock.sleep_ms(answer.pause_ms)

    def _keep(self, session: AccountSession, book: PairBook | None) -> PairBook | None:
        if book is None:
            return None
        with self._lock:
            known = self.books.get(session.site)
            if known is None or known.fetched_ms <= book.fetched_ms:
                self.books[session.site] = known = book
            return known


def _warn(session: AccountSession, answer: Answer | Wait | NoToken) -> None:
    detail = getattr(answer, "detail", "") or type(answer).__name__
    log.warning(
        "no list of the exchange's pairs: %s",
        detail,
        extra={"exchange": session.exchange.name, "account": session.alias},
    )
