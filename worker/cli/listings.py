"""Read long lists page by page."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.model.jobs import Job
    from worker.model.switches import SwitchRecord
    from worker.store.listing import Listing
    from worker.store.switches import Switches

JOBS_PAGE = 500
SWITCHES_PAGE = 200


class ListedState(StrEnum):
    """States by which commands filter and count switches."""

    ARMED = "armed"
    TRIPPED = "tripped"
    DISARMED = "disarmed"


def every_dead(listing: Listing) -> Iterator[Job]:
    """Yield the dead letters, latest first."""
    for skip in range(0, listing.dead_count(), JOBS_PAGE):
        yield from listing.dead(limit=JOBS_PAGE, skip=skip)


def every_switch(switches: Switches, *, look_back: int) -> Iterator[SwitchRecord]:
    """Yield the live switches, nearest deadline first, then those that have ended.

    Args:
        switches: Where they are recorded.
        look_back: Most ended switches to read, latest first.
    """
    seen: set[str] = set()
    for record in switches.live():
        seen.add(record.id)
        yield record
    for skip in range(0, look_back, SWITCHES_PAGE):
        page = switches.recent(limit=SWITCHES_PAGE, skip=skip)
        for record in page:
            if record.id not in seen:
                seen.add(record.id)  # a change moves a switch to the front of the list
                yield record
        if not page:
            return
