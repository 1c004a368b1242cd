"""Lists of pairs in the memory of one process."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from worker import clock
from worker.model.pairs import Freshness, PairBook


class MemoryPairLists:
    """Lists shared by the threads of this process; `SharedPairLists` does so for all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: dict[str, PairBook] = {}
        self._fetching: set[str] = set()

    def freshness(self, site: str) -> Freshness:
        """Return how old a list is."""
        book = self.read(site)
        return Freshness(book.fetched_ms if book else 0, 0, clock.now_ms())

    def read(self, site: str) -> PairBook | None:
        """Return a list; None if it was never fetched."""
        with self._lock:
            return self._books.get(site)

    def begin(self, site: str, *, lease_ms: int) -> bool:  # noqa: ARG002  threads do not die alone
        """Become the one thread that fetches a list; false if another does."""
        with self._lock:
            free = site not in self._fetching
            self._fetching.add(site)
            return free

    def end(self, site: str) -> None:
        """Let another thread fetch."""
        with self._lock:
            self._fetching.discard(site)

    def put(self, site: str, names: Mapping[str, str], *, fetched_ms: int) -> PairBook:
        """Replace a list."""
        book = PairBook(fetched_ms, names)
        with self._lock:
            self._books[site] = book
        return book
