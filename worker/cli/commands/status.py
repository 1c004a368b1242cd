"""`status`: live workers, pending jobs and their age."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.cli import output, resources
from worker.cli.options import JsonOption, WatchOption
from worker.cli.snapshot import described, nearest_ms, switch_counts
from worker.cli.watching import check_watch, watch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.store.connection import Store
    from worker.store.reading import Reading

LANES = ("EXCHANGE", "ACCOUNT", "PENDING", "DUE", "OLDEST DUE", "SERVED")
SERVED = {True: "yes", False: "no worker", None: "unknown"}
APPENDONLY = {True: "yes", False: "NO", None: "unknown"}


def status(
    watch_it: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show workers, lanes, switches, dead letters and Redis."""
    settings = resources.open_client_settings()
    store, where = resources.open_store(settings), resources.redis_place(settings)
    if watch_it:
        check_watch(as_json=as_json)
        watch(lambda: _drawn(_read(store), where))
        return
    reading = _read(store)
    if as_json:
        output.document(described(reading, where=where))
        return
    output.facts(_facts(reading, where))
    if reading.lanes:
        output.say("")
        output.table(LANES, _lanes(reading))


def _read(store: Store) -> Reading:
    from worker.store.reading import ONCE, read  # noqa: PLC0415  slow

    return read(store, bounds=ONCE)


def _facts(reading: Reading, where: str) -> list[tuple[str, str]]:
    redis = reading.redis
    rows = [
        ("redis", f"{where}, version {redis.version if redis else 'unknown'}"),
        ("", f"appendonly {APPENDONLY[redis.appendonly if redis else None]}"),
        ("", f"maxmemory-policy {(redis and redis.maxmemory_policy) or 'unknown'}"),
        ("workers", f"{reading.workers} alive"),
    ]
    rows += [("", output.shown(name)) for name in sorted(reading.seen_ms)]
    rows += [("pending", str(sum(lane.pending for lane in reading.lanes)))]
    rows += [("dead", str(reading.dead))]
    counts = ", ".join(f"{count} {state}" for state, count in switch_counts(reading).items())
    rows += [("switches", counts)]
    if (left_ms := nearest_ms(reading)) is not None:
        when = f"in {output.duration(left_ms)}" if left_ms >= 0 else "has passed"
        rows += [("", f"nearest deadline {when}")]
    return rows


def _lanes(reading: Reading) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for lane in reading.lanes:
        oldest = output.duration(lane.oldest_ms if lane.due else None)
        rows.append(
            (lane.exchange, lane.account, lane.pending, lane.due, oldest, SERVED[lane.served])
        )
    return rows


def _drawn(reading: Reading, where: str) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    facts = Text("\n".join(output.columns(_facts(reading, where))))
    rows = [[output.shown(cell) for cell in row] for row in _lanes(reading)]
    return Group(facts, output.grid(LANES, rows))
