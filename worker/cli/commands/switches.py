"""`switches`: the switches with their deadlines, and those that have ended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, resources
from worker.cli.listings import ListedState
from worker.cli.options import JsonOption, LimitOption, OfAccountOption, WatchOption
from worker.cli.watching import check_watch, watch
from worker.model.switches import SwitchState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.model.switches import SwitchRecord
    from worker.store.switches import Switches

HEADERS = ("ID", "NAME", "ACCOUNT", "SCOPE", "STATE", "LEFT", "BEAT", "SYNC", "TIMER", "EPOCH")
NOTHING = "no switches"
LOOK_BACK = 5_000
"""Most ended switches to read."""
WATCHED_BACK = 400
"""The same when reading every second."""
CHANGED_SHOWN_MS = 600_000
"""For how long a row says that the timer was changed by another program."""


def switches(
    state: Annotated[
        ListedState | None,
        typer.Option("--state", help="Only in this state.", show_default=False),
    ] = None,
    account: OfAccountOption = None,
    limit: LimitOption = 50,
    watch_them: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """List switches: nearest deadline first, ended ones last.

    Of the ended, the latest comes first.
    """
    if watch_them:
        check_watch(as_json=as_json)
    listing, known = resources.open_listing(), resources.open_switches()

    def read() -> tuple[list[SwitchRecord], int]:
        back = WATCHED_BACK if watch_them else LOOK_BACK
        found = _select(known, state, account or "", look_back=back)
        return list(islice(found, limit + 1)), listing.now_ms()

    if watch_them:
        watch(lambda: _drawn(read(), limit))
        return
    listed, now_ms = read()
    if as_json:
        described = [record.describe(now_ms) for record in listed[:limit]]
        output.document({"now_ms": now_ms, "switches": described})
    else:
        rows = [row(record, now_ms) for record in listed[:limit]]
        output.table(HEADERS, rows, nothing=NOTHING)
    if len(listed) > limit:
        output.note(_cut(limit))


def row(record: SwitchRecord, now_ms: int) -> tuple[object, ...]:
    """Return the table row of a switch."""
    return (
        record.id,
        record.name,
        record.account,
        output.scope(record),
        record.state,
        _left(record, now_ms),
        output.duration(now_ms - record.beat_ms),
        output.duration(None if record.synced_ms is None else now_ms - record.synced_ms),
        _timer(record, now_ms),
        record.epoch,
    )


def _left(record: SwitchRecord, now_ms: int) -> str:
    if not record.live:
        return "-"
    left_ms = record.deadline_ms - now_ms
    # Any script that reads it trips it; without workers no script runs.
    return output.duration(left_ms) if left_ms >= 0 else f"late {output.duration(-left_ms)}"


def _timer(record: SwitchRecord, now_ms: int) -> str:
    """Return the state of the exchange's own timer, or that workers hold the deadline."""
    if record.fires_ms is None:
        return "by workers" if record.live else "-"
    left_ms = record.fires_ms - now_ms
    match record.state:
        case SwitchState.ARMED if not record.fires_ms:
            return f"not yet{_changed(record, now_ms)}"
        case SwitchState.ARMED:
            rest = " + workers" if record.held == "both" else ""
            return f"in {output.duration(left_ms)}{rest}{_changed(record, now_ms)}"
        case SwitchState.DISARMED if left_ms > 0:
            return "stopping"
        case SwitchState.WAITING | SwitchState.TRIPPED | SwitchState.DISARMED | SwitchState.UNKNOWN:
            return "-"


def _changed(record: SwitchRecord, now_ms: int) -> str:
    """Return text about a timer that was lately found to be other than set; empty if none was."""
    if record.changed_ms is None or now_ms - record.changed_ms > CHANGED_SHOWN_MS:
        return ""
    return f", changed {output.duration(now_ms - record.changed_ms)} ago"


def _select(
    known: Switches, state: ListedState | None, account: str, *, look_back: int
) -> Iterator[SwitchRecord]:
    from worker.store.switch_listing import every_switch  # noqa: PLC0415  slow

    ended = 0 if state is ListedState.ARMED else look_back
    wanted = [*SwitchState] if state is None else [SwitchState(state)]
    for record in every_switch(known, look_back=ended):
        if record.state in wanted and account in ("", record.account):
            yield record


def _cut(limit: int) -> str:
    return f"these are the first {limit}; see more with --limit"


def _drawn(read: tuple[list[SwitchRecord], int], limit: int) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    listed, now_ms = read
    rows = [[output.shown(cell) for cell in row(record, now_ms)] for record in listed[:limit]]
    below = _cut(limit) if len(listed) > limit else ""
    return Group(output.grid(HEADERS, rows), Text(below or ("" if rows else NOTHING)))
