"""Calls that are kept open: how many of them one token may have in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from worker.web.problems import Refused

HELD_MAX = 200
"""Event streams and long polls of one token at once; a process serves 1,000 connections."""
RETRY_MS = 1_000


class Held:
    """Counts the open calls of each token, so that one token cannot take every connection.

    Used on the event loop alone.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one(self, token: str) -> Iterator[None]:
        """Count a call while it is open.

        Args:
            token: Digest of the token.

        Raises:
            Refused: 429 if the token has `HELD_MAX` open.
        """
        if self._open[token] >= HELD_MAX:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                f"this token has {HELD_MAX} event streams and long polls open",
                retry_ms=RETRY_MS,
            )
        self._open[token] += 1
        try:
            yield
        finally:
            self._open[token] -= 1
            if not self._open[token]:
                del self._open[token]
