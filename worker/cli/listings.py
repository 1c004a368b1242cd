"""Read long lists page by page."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.model.jobs import Job
    from worker.store.listing import Listing

JOBS_PAGE = 500


class ListedState(StrEnum):
    """States by which commands filter and count switches."""

    ARMED = "armed"
    TRIPPED = "tripped"
    DISARMED = "disarmed"


def every_dead(listing: Listing) -> Iterator[Job]:
    """Yield the dead letters, latest first."""
    for skip in range(0, listing.dead_count(), JOBS_PAGE):
        yield from listing.dead(limit=JOBS_PAGE, skip=skip)
