"""How many threads one exchange may hold, so that a dead one stalls no other."""

from __future__ import annotations

import threading


class Bulkhead:
    """Counts the threads busy with one exchange. Never waits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._inside = 0
        self._lock = threading.Lock()

    def enter(self, most: int | None = None) -> bool:
        """Take a place; false if none is free, or `most` are inside."""
        with self._lock:
            if self._inside >= self._size or (most is not None and self._inside >= most):
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._inside -= 1

    @property
    def inside(self) -> int:
        """How many have a place."""
        return self._inside
