"""`status`: live workers, pending jobs and their age."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.cli import output, resources
from worker.cli.options import JsonOption, WatchOption
from worker.cli.watching import check_watch, watch
from worker.model.names import account_of, exchange_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.cli.snapshot import Snapshot

LANES = ("EXCHANGE", "ACCOUNT", "PENDING", "DUE", "OLDEST DUE", "SERVED")
APPENDONLY = {True: "yes", False: "NO", None: "unknown"}


def status(
    watch_it: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show workers, lanes, switches, dead letters and Redis."""
    from worker.cli.snapshot import take  # noqa: PLC0415  slow

    settings = resources.open_client_settings()
    store = resources.open_store(settings)
    if watch_it:
        check_watch(as_json=as_json)
        watch(lambda: _drawn(take(store, settings)))
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
        ("", f"appendonly {APPENDONLY[redis.appendonly]}"),
        ("", f"maxmemory-policy {redis.maxmemory_policy or 'unknown'}"),
        ("workers", f"{len(snapshot.workers)} alive"),
    ]
    rows += [("", output.shown(name)) for name in sorted(snapshot.workers)]
    rows += [("pending", str(sum(lane.pending for lane in snapshot.lanes)))]
    rows += [("dead", str(snapshot.dead))]
    counts = ", ".join(f"{count} {state}" for state, count in snapshot.switches.items())
    rows += [("switches", counts)]
    if snapshot.nearest_deadline_ms is not None:
        left_ms = snapshot.nearest_deadline_ms - snapshot.now_ms
        when = f"in {output.duration(left_ms)}" if left_ms >= 0 else "has passed"
        rows += [("", f"nearest deadline {when}")]
    return rows


def _lanes(snapshot: Snapshot) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for lane in snapshot.lanes:
        exchange, account = exchange_of(lane.lane), account_of(lane.lane)
        oldest = output.duration(snapshot.age_ms(lane))
        served = "yes" if lane.served else "no worker"
        rows.append((exchange, account, lane.pending, lane.due, oldest, served))
    return rows


def _drawn(snapshot: Snapshot) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    facts = Text("\n".join(output.columns(_facts(snapshot))))
    rows = [[output.shown(cell) for cell in row] for row in _lanes(snapshot)]
    return Group(facts, output.grid(LANES, rows))
