"""Look for workers that are alive, and warn where there is none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from worker.cli import output, resources
from worker.errors import StoreUnavailable
from worker.model.constants import PRESENCE_MS

if TYPE_CHECKING:
    from worker.store.listing import Listing


def workers_alive(listing: Listing) -> int:
    """Return how many workers are alive.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    seen_ms, now_ms = listing.workers().values(), listing.now_ms()
    return sum(now_ms - at_ms <= PRESENCE_MS for at_ms in seen_ms)


def note_without_workers() -> None:
    """Warn on standard error if no worker is alive to act on what was just accepted."""
    with contextlib.suppress(StoreUnavailable):  # the command itself has succeeded
        if not workers_alive(resources.open_listing()):
            output.note(
                "no worker is alive to act on it; start one, for example with `cancel-worker up`"
            )
