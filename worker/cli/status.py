"""`status`: who works, what waits and for how long."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from worker import clock
from worker.cli import output, parts
from worker.cli.errors import MISUSED, CliError, explain
from worker.cli.options import JsonOption
from worker.errors import StoreUnavailable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.cli.snapshot import Snapshot

WATCH_MS = 1_000
LANES = ("EXCHANGE", "ACCOUNT", "PENDING", "DUE", "OLDEST DUE")


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show workers, lanes, dead letters and Redis."""
    from worker.cli.snapshot import take  # noqa: PLC0415  slow

    settings = parts.open_settings()
    store = parts.open_store(settings)
    if watch:
        if as_json or not sys.stdout.isatty():
            raise CliError("--watch needs a terminal, and no --json", code=MISUSED)
        _watch(lambda: take(store, settings))
        return
    snapshot = take(store, settings)
    if as_json:
        output.document(snapshot.describe())
        return
    for line in output.columns(_facts(snapshot)):
        output.say(line)
    if snapshot.lanes:
        output.say("")
        output.table(LANES, _lanes(snapshot))


def _facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    redis = snapshot.redis
    rows = [
        ("redis", f"{snapshot.where}, version {redis.version}"),
        ("", f"appendonly {'yes' if redis.appendonly else 'NO'}"),
        ("", f"maxmemory-policy {redis.maxmemory_policy}"),
        ("workers", f"{len(snapshot.workers)} alive"),
    ]
    rows += [("", output.shown(name)) for name in sorted(snapshot.workers)]
    rows += [("pending", str(sum(lane.pending for lane in snapshot.lanes)))]
    rows += [("dead", str(snapshot.dead))]
    return rows


def _lanes(snapshot: Snapshot) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for lane in snapshot.lanes:
        exchange, _, account = lane.lane.partition(":")
        oldest = output.duration(snapshot.age_ms(lane))
        rows.append((exchange, account, lane.pending, lane.due, oldest))
    return rows


def _watch(look: Callable[[], Snapshot]) -> None:
    """Show it again and again; Redis being away is shown, too."""
    from rich.live import Live  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    shown: RenderableType
    try:
        with Live(auto_refresh=False, screen=True) as live:
            while True:
                try:
                    shown = _drawn(look())
                except StoreUnavailable as error:
                    shown = Text(explain(error)[0])
                live.update(shown, refresh=True)
                clock.sleep_ms(WATCH_MS)
    except KeyboardInterrupt:
        return


def _drawn(snapshot: Snapshot) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    facts = Text("\n".join(output.columns(_facts(snapshot))))
    rows = [[output.shown(cell) for cell in row] for row in _lanes(snapshot)]
    return Group(facts, output.grid(LANES, rows))
