"""Read long lists page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.cli.errors import CliError

if TYPE_CHECKING:
    from worker.model.jobs import Job
    from worker.store.listing import Listing
    from worker.store.switches import Switches

JOBS_PAGE = 500
SHOWN = 5
"""Ids in an error text."""
LOOK_BACK = 1_000
"""Most ended switches of which one is found by the start of its id."""
NAMED = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ListedState(StrEnum):
    """States by which commands filter and count switches."""

    ARMED = "armed"
    TRIPPED = "tripped"
    DISARMED = "disarmed"


PREFIX_MIN = 4
"""Fewest characters of an id that stand for it."""


def find_job(listing: Listing, text: str) -> Job | None:
    """Return the job with this id, or the only one whose id starts with it.

    A cancel-all goes before the cancels that it made, whose ids start with its own.

    Raises:
        CliError: Several jobs have ids that start with it.
    """
    if (job := listing.get(text)) is not None or len(text) < PREFIX_MIN:
        return job
    ids = sorted(listing.starting(text), key=lambda each: (len(each), each))
    if not ids:
        return None
    if any(not each.startswith(ids[0]) for each in ids):
        raise _ambiguous("jobs", text, ids)
    return listing.get(ids[0])


def find_switch(switches: Switches, text: str) -> str:
    """Return the id of the switch with this id, name or start of an id; else the text.

    A name is that of the live switch, else of the one that ended last.

    Raises:
        CliError: Several switches match.
    """
    if not NAMED.fullmatch(text) or (text.isalnum() and switches.get(text) is not None):
        return text
    from worker.store.switch_listing import every_switch  # noqa: PLC0415  slow

    known = [*every_switch(switches, look_back=LOOK_BACK)]
    found = [each.id for each in known if len(text) >= PREFIX_MIN and each.id.startswith(text)]
    found = found or [each.id for each in known if each.live and each.name == text]
    found = found or [each.id for each in known if each.name == text][:1]
    if len(found) > 1:
        raise _ambiguous("switches", text, found)
    return found[0] if found else text


def _ambiguous(what: str, text: str, ids: Sequence[str]) -> CliError:
    shown = ", ".join(ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
    return CliError(f"{text[:60]!r} stands for {len(ids)} {what}: {shown}; give more of the id")


def every_dead(listing: Listing) -> Iterator[Job]:
    """Yield the dead letters, latest first."""
    for skip in range(0, listing.dead_count(), JOBS_PAGE):
        yield from listing.dead(limit=JOBS_PAGE, skip=skip)
