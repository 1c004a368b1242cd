"""The status page: one HTML document without scripts or external resources."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from worker.errors import StoreUnavailable
from worker.model.jobs import Job
from worker.model.switches import SwitchRecord, SwitchState
from worker.model.text import one_line
from worker.store.durability import NOEVICTION
from worker.store.listing import Listing
from worker.store.reading import Reading
from worker.store.switches import Switches
from worker.telemetry.health.reading import Watch
from worker.telemetry.health.verdict import troubles

REFRESH_S = 5
SHOWN_MAX = 20
"""Maximum switches of an account, and dead letters, in a list."""
SCOPE_SHOWN = 6
SECOND_MS = 1_000
UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (SECOND_MS, "s"))
STYLE = """
:root { color-scheme: light dark; --edge: #8886; --bad: #b3261e; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --bad: #ffb4ab; --good: #7fd9a2; } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 64rem; }
h1 { font-size: 1.3rem; margin: 0; }
p { margin: .4rem 0; }
.verdict { border-left: .4rem solid var(--good); padding: .3rem .8rem; margin: 1rem 0; }
.verdict.bad { border-color: var(--bad); }
.verdict ul { margin: .3rem 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; margin: 1.4rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--edge);
  vertical-align: top; overflow-wrap: break-word; }
thead th { font-size: .85rem; white-space: nowrap; }
tbody th { font-weight: 400; }
.n { text-align: right; white-space: nowrap; }
meter { width: 6rem; }
@media (max-width: 34rem) {
  body { padding: .6rem; font-size: .9rem; }
  th, td { padding-right: .5rem; }
  meter { width: 2.5rem; }
}
footer { font-size: .85rem; margin-top: 2rem; }
"""


def draw(watch: Watch, *, role: str, faults: Sequence[str]) -> str:
    """Return the page; while Redis is down, one that reports it."""
    try:
        reading = watch.look()
        switches = Switches(watch.store).live(limit=SHOWN_MAX)
    except StoreUnavailable as error:
        found = [f"{error}: pending jobs are safe once Redis is back with its data.", *faults]
        return _document(role, _verdict(found), "")
    dead: Sequence[Job] | None = None
    with contextlib.suppress(StoreUnavailable):  # Celery beat's Redis user may not read jobs
        dead = Listing(watch.store).dead(limit=SHOWN_MAX)
    found = [*troubles(reading), *(f"This {role}: {fault}." for fault in faults)]
    parts = [
        _facts(reading),
        _accounts(reading),
        _switch_table(switches, reading.now_ms),
        _limits(reading),
        _dead(dead, reading) if dead is not None else "",
    ]
    return _document(role, _verdict(found), "".join(parts), at_ms=reading.now_ms)


def _document(role: str, verdict: str, body: str, *, at_ms: int | None = None) -> str:
    when = "" if at_ms is None else f" As of {_moment(at_ms)}, on Redis's clock."
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}">'
        f"<title>cancel-worker</title><style>{STYLE}</style></head>"
        f"<body><header><h1>cancel-worker</h1></header><main>{verdict}{body}</main>"
        f"<footer><p>Served by a {escape(role)}; refreshed every {REFRESH_S} s.{when}</p>"
        '<nav aria-label="For machines"><a href="/metrics">metrics</a> · '
        '<a href="/healthz">health</a></nav></footer></body></html>\n'
    )


def _verdict(found: Sequence[str]) -> str:
    if not found:
        return '<section class="verdict" role="status"><p>No problems found.</p></section>'
    items = "".join(f"<li>{escape(line)}</li>" for line in found)
    return f'<section class="verdict bad" role="status"><p>Problems:</p><ul>{items}</ul></section>'


def _facts(reading: Reading) -> str:
    redis = reading.redis
    rows: list[tuple[str, str]] = [
        ("Workers alive", str(reading.workers)),
        ("Beat", _beat(reading)),
        ("Dead letters", str(reading.dead)),
        ("Redis", f"answers in {reading.latency_ms:.1f} ms"),
    ]
    if redis is not None:
        kept = "on" if redis.appendonly else "OFF"
        policy = NOEVICTION if redis.maxmemory_policy == NOEVICTION else "EVICTS"
        written = ", LAST WRITE FAILED" if redis.writes_fail else ""
        rows.append(("Redis keeps", f"append-only file {kept}{written}; {policy}"))
        if redis.memory_ratio is not None:
            rows.append(("Redis memory", f"{redis.memory_ratio:.0%} used"))
    cells = [[_head(name), _cell(value)] for name, value in rows]
    return _table("Overview", (), cells, empty="")


def _accounts(reading: Reading) -> str:
    rows = [
        [
            _head(it.account),
            _cell(it.exchange),
            _cell(it.pending, number=True),
            _cell(it.due, number=True),
            _cell(_span(it.oldest_ms) if it.due else "-", number=True),
        ]
        for it in reading.lanes
    ]
    heads = ("Account", "Exchange", "Pending", "Due", "Oldest due")
    return _table("Jobs", heads, rows, empty="No worker has registered an account yet.", numbers=3)


def _switch_table(switches: Iterable[SwitchRecord], now_ms: int) -> str:
    rows = [
        [
            _head(it.account),
            _cell(it.name or "-"),
            _cell(_left(it, now_ms)),
            _cell(it.state),
            _cell(_scope(it)),
            _cell(_timer(it, now_ms)),
        ]
        for it in switches
    ]
    heads = ("Account", "Name", "Time left", "State", "Scope", "Exchange's timer")
    return _table("Switches", heads, rows, empty="No switch is armed.")


def _limits(reading: Reading) -> str:
    rows = []
    for it, used in reading.budgets:
        most, seconds = it.rule.max_requests, it.rule.window_ms / SECOND_MS
        label = escape(f"{it.exchange} {it.limit} {it.owner}", quote=True)
        bar = f'<meter aria-label="{label}" max="{most}" value="{min(used, most)}"></meter>'
        rows.append(
            [
                _head(f"{it.exchange} {it.limit}"),
                _cell(it.owner),
                f"<td>{bar}</td>",
                _cell(f"{used} of {most} in {seconds:g} s", number=True),
            ]
        )
    return _table("Limits", ("Limit", "Of", "Share", "Used"), rows, empty="", numbers=1)


def _dead(dead: Iterable[Job], reading: Reading) -> str:
    rows = [
        [
            _head(it.account or "-"),
            _cell(it.order or it.pair or "-"),
            _cell(it.detail),
            _cell(f"{_span(reading.now_ms - (it.finished_ms or reading.now_ms))} ago"),
            _cell(it.id),
        ]
        for it in dead
    ]
    heads = ("Account", "Order", "Why", "When", "Job")
    return _table("Dead letters, latest first", heads, rows, empty="None.")


def _beat(reading: Reading) -> str:
    if reading.tick_ago_ms is None:
        return "no tick run yet"
    last = f"last tick run {_span(reading.tick_ago_ms)} ago"
    return last if reading.beats else f"{last}; no instance ticks now"


def _scope(record: SwitchRecord) -> str:
    names = record.scope
    more = len(names) - SCOPE_SHOWN
    return " ".join(names[:SCOPE_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _left(record: SwitchRecord, now_ms: int) -> str:
    if not record.live:
        return "-"
    left_ms = record.deadline_ms - now_ms
    of = _span(record.timeout_ms)
    return f"{_span(left_ms)} of {of}" if left_ms >= 0 else f"late by {_span(-left_ms)}"


def _timer(record: SwitchRecord, now_ms: int) -> str:
    if record.fires_ms is None:
        return "none: workers hold it"
    match record.state:
        case SwitchState.ARMED if record.fires_ms:
            return f"fires in {_span(record.fires_ms - now_ms)}"
        case SwitchState.ARMED | SwitchState.WAITING:
            return "not set yet"
        case SwitchState.TRIPPED | SwitchState.DISARMED | SwitchState.UNKNOWN:
            return "being stopped"


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str, numbers: int = 0
) -> str:
    """Return a table whose last `numbers` columns are numbers, or a line if it is empty."""
    if not rows and not empty:
        return ""
    plain = len(heads) - numbers
    top = "".join(
        f'<th scope="col"{"" if i < plain else _NUMBER}>{escape(head)}</th>'
        for i, head in enumerate(heads)
    )
    top = f"<thead><tr>{top}</tr></thead>" if heads else ""
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    if not rows:
        lines = f'<tr><td colspan="{max(1, len(heads))}">{escape(empty)}</td></tr>'
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(title, quote=True)}">'
        f"<table><caption>{escape(title)}</caption>{top}<tbody>{lines}</tbody></table></div>"
    )


_NUMBER = ' class="n"'


def _head(text: str) -> str:
    return f'<th scope="row">{escape(one_line(text))}</th>'


def _cell(value: object, *, number: bool = False) -> str:
    return f"<td{_NUMBER if number else ''}>{escape(one_line(str(value)))}</td>"


def _span(ms: float) -> str:
    if ms < SECOND_MS:
        return f"{max(0, round(ms))} ms"
    size, unit = next(it for it in UNITS if ms >= it[0])
    return f"{ms / size:.1f}".removesuffix(".0") + f" {unit}"


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / SECOND_MS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
