"""Read the switches page by page."""

from __future__ import annotations

from collections.abc import Iterator

from worker.model.switches import SwitchRecord
from worker.store.switches import Switches

PAGE = 200


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
    for skip in range(0, look_back, PAGE):
        page = switches.recent(limit=PAGE, skip=skip)
        for record in page:
            if record.id not in seen:
                seen.add(record.id)  # a change moves a switch to the front of the list
                yield record
        if not page:
            return
