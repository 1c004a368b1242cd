"""`switches`: which deadlines stand, and what came of those that ended."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, parts
from worker.cli.options import JsonOption, LimitOption, OfAccountOption, WatchOption
from worker.cli.watching import check_watch, watch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.model.switches import SwitchRecord
    from worker.store.switches import Switches

HEADERS = ("ID", "ACCOUNT", "SCOPE", "STATE", "LEFT", "BEAT", "SYNC", "TIMER", "EPOCH")
SCOPE_SHOWN = 4
PAGE = 200
LOOK_BACK = 5_000
"""How many switches that have ended are looked through at most."""
WATCHED_BACK = 400
"""Likewise when that is done each second."""


class SwitchState(StrEnum):
    """How a switch stands."""

    ARMED = "armed"
    TRIPPED = "tripped"
    DISARMED = "disarmed"


def switches(
    state: Annotated[
        SwitchState | None,
        typer.Option("--state", help="Only switches that stand so.", show_default=False),
    ] = None,
    account: OfAccountOption = None,
    limit: LimitOption = 50,
    watch_them: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """List countdown switches: the nearest deadline first, then the ended, latest first."""
    if watch_them:
        check_watch(as_json=as_json)
    ledger, known = parts.open_ledger(), parts.open_switches()

    def look() -> tuple[list[SwitchRecord], int]:
        back = WATCHED_BACK if watch_them else LOOK_BACK
        found = _select(known, state, account or "", look_back=back)
        return list(islice(found, limit + 1)), ledger.now_ms()

    if watch_them:
        watch(lambda: _drawn(look(), limit))
        return
    listed, now_ms = look()
    if as_json:
        described = [record.describe(now_ms) for record in listed[:limit]]
        output.document({"now_ms": now_ms, "switches": described})
    else:
        output.table(HEADERS, [row(record, now_ms) for record in listed[:limit]])
    if len(listed) > limit:
        output.note(_cut(limit))


def every_switch(known: Switches, *, look_back: int) -> Iterator[SwitchRecord]:
    """Yield the switches that stand, nearest deadline first, then those that have ended.

    Args:
        known: Where they are.
        look_back: How many of the ended ones are read at most, latest first.
    """
    seen: set[str] = set()
    for record in known.live():
        seen.add(record.id)
        yield record
    for skip in range(0, look_back, PAGE):
        page = known.recent(limit=PAGE, skip=skip)
        for record in page:
            if record.id not in seen:
                seen.add(record.id)  # one may change while this reads
                yield record
        if not page:
            return


def row(record: SwitchRecord, now_ms: int) -> tuple[object, ...]:
    """Return a switch as the table shows it."""
    return (
        record.id,
        record.account,
        scope(record),
        record.state,
        _left(record, now_ms),
        output.duration(now_ms - record.beat_ms),
        output.duration(None if record.synced_ms is None else now_ms - record.synced_ms),
        _timer(record, now_ms),
        record.epoch,
    )


def scope(record: SwitchRecord) -> str:
    """Return what a switch takes down."""
    names = [*record.pairs, *record.order_ids]
    more = len(names) - SCOPE_SHOWN
    return " ".join(names[:SCOPE_SHOWN]) + (f" +{more}" if more > 0 else "")


def _left(record: SwitchRecord, now_ms: int) -> str:
    if not record.live:
        return "-"
    left_ms = record.deadline_ms - now_ms
    # Some script trips it as soon as one looks; without workers none does.
    return output.duration(left_ms) if left_ms >= 0 else f"late {output.duration(-left_ms)}"


def _timer(record: SwitchRecord, now_ms: int) -> str:
    """Tell how the exchange's own timer stands, or that workers hold the deadline."""
    if record.fires_ms is None:
        return "by workers" if record.live else "-"
    left_ms = record.fires_ms - now_ms
    match record.state:
        case SwitchState.ARMED if not record.fires_ms:
            return "not yet"
        case SwitchState.ARMED:
            return f"in {output.duration(left_ms)}"
        case SwitchState.DISARMED if left_ms > 0:
            return "stopping"
        case _:
            return "-"


def _select(
    known: Switches, state: SwitchState | None, account: str, *, look_back: int
) -> Iterator[SwitchRecord]:
    ended = 0 if state is SwitchState.ARMED else look_back
    for record in every_switch(known, look_back=ended):
        if state in (None, record.state) and account in ("", record.account):
            yield record


def _cut(limit: int) -> str:
    return f"these are the first {limit}; see more with --limit"


def _drawn(looked: tuple[list[SwitchRecord], int], limit: int) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    listed, now_ms = looked
    rows = [[output.shown(cell) for cell in row(record, now_ms)] for record in listed[:limit]]
    below = _cut(limit) if len(listed) > limit else ""
    return Group(output.grid(HEADERS, rows), Text(below or ("" if rows else "no switches")))
