"""How many threads one exchange may hold, so that a dead one stalls no other."""

from __future__ import annotations

import threading


class Bulkhead:
    """Counts the threads busy with one exchange. Never waits."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Take a place; false if none is free."""
        with self._lock:
            if self._free == 0:
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._free += 1
