"""Turn notices into few messages: one for each outage, and a summary. Pure.

Notices of one event, account and exchange are one outage. It begins with the first of
them and is over once its condition has not held for `CLEAR_MS`, or nothing more has
happened for `QUIET_MS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from worker.model.notices import ADVICE, Notice

GATHER_MS = 1_000
"""How long the first message of an outage waits for more notices of it."""
HOLD_MS = {"no worker": 15_000, "beat lost": 15_000, "exchange throttled": 0}
"""How long a condition must hold until it is notified; `HOLD_OTHERS_MS` for others."""
HOLD_OTHERS_MS = 5_000
CLEAR_MS = 10_000
QUIET_MS = 300_000
GROWTH = 10
GROWTH_MS = 30_000
"""An outage is notified again when it has grown by a factor, but not sooner than this."""
LINES_MAX = 5


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to every route that wants its event and account.

    Attributes:
        over: Whether it reports that an outage is over.
    """

    event: str
    account: str
    exchange: str
    title: str
    body: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage so far. Times are Unix ms.

    Attributes:
        seen_ms: When its last notice was observed.
        told_ms: When its last message was made; 0 for none.
        count: Notices; 1 for a condition.
        told: Those that messages have counted.
        lines: Texts of the latest notices that no message has shown.
        follows: Whether one of them completes what a message has shown.
    """

    event: str
    account: str
    exchange: str
    holds: bool
    opened_ms: int
    seen_ms: int
    told_ms: int = 0
    count: int = 0
    told: int = 0
    lines: list[str] = field(default_factory=list)
    follows: bool = False


def step(
    outages: Mapping[str, Outage], notices: Iterable[Notice], *, now_ms: int, repeat_ms: int
) -> tuple[dict[str, Outage], list[Message]]:
    """Return the outages after these notices, and the messages that are due.

    Args:
        outages: Those known, by key.
        notices: Observed since; of conditions, all that hold now.
        now_ms: Unix ms.
        repeat_ms: How long until an outage that goes on is notified again.
    """
    known = dict(outages)
    for notice in notices:
        key = f"{notice.event}|{notice.exchange}|{notice.account}"
        known[key] = _noted(known.get(key), notice, now_ms)
    messages: list[Message] = []
    for key, outage in list(known.items()):
        after, message = _judged(outage, now_ms, repeat_ms)
        if message is not None:
            messages.append(message)
        if after is None:
            del known[key]
        else:
            known[key] = after
    return known, messages


def _noted(outage: Outage | None, notice: Notice, now_ms: int) -> Outage:
    """Return an outage with one more notice."""
    if outage is None:
        what = (notice.event, notice.account, notice.exchange, notice.holds)
        outage = Outage(*what, opened_ms=now_ms, seen_ms=now_ms)
    if notice.holds:
        return replace(outage, seen_ms=now_ms, count=1, lines=[notice.text])
    lines = [*outage.lines, notice.text][-LINES_MAX:]
    if notice.follows:
        return replace(outage, seen_ms=now_ms, lines=lines, follows=True)
    return replace(outage, seen_ms=now_ms, count=outage.count + 1, lines=lines)


def _judged(outage: Outage, now_ms: int, repeat_ms: int) -> tuple[Outage | None, Message | None]:
    """Return an outage, None once it is over, and its message, None if none is due."""
    quiet_ms, told_ago_ms = now_ms - outage.seen_ms, now_ms - outage.told_ms
    gather_ms = HOLD_MS.get(outage.event, HOLD_OTHERS_MS) if outage.holds else GATHER_MS
    if quiet_ms >= (CLEAR_MS if outage.holds else QUIET_MS):
        ends = outage.told_ms and (outage.holds or outage.count > outage.told)
        return None, _over(outage) if ends else None
    if not outage.told_ms:
        until_ms = outage.seen_ms if outage.holds else now_ms
        if until_ms - outage.opened_ms < gather_ms:
            return outage, None
        return _reported(outage, now_ms), _first(outage)
    if outage.follows:
        return _reported(outage, now_ms), _message(outage, f"{outage.event}: result", outage.lines)
    more = outage.count > outage.told
    grown = outage.count >= GROWTH * outage.told and told_ago_ms >= GROWTH_MS
    if (told_ago_ms >= repeat_ms and (more or (outage.holds and not quiet_ms))) or (more and grown):
        return _reported(outage, now_ms), _again(outage, now_ms)
    return outage, None


def _reported(outage: Outage, now_ms: int) -> Outage:
    return replace(outage, told_ms=now_ms, told=outage.count, lines=[], follows=False)


def _first(outage: Outage) -> Message:
    return _message(outage, _counted(outage.count, outage.event), _lines(outage, outage.count))


def _again(outage: Outage, now_ms: int) -> Message:
    lasts = f"for {duration(now_ms - outage.opened_ms)}"
    if outage.holds:
        return _message(outage, f"still {outage.event}, {lasts}", _lines(outage, 1))
    title = f"{_counted(outage.count, outage.event)} {lasts}"
    return _message(outage, title, _lines(outage, outage.count - outage.told))


def _over(outage: Outage) -> Message:
    lasted = duration(outage.seen_ms - outage.opened_ms)
    if outage.holds:
        return _message(outage, f"recovered: {outage.event}", [f"It lasted {lasted}."], over=True)
    title = f"summary: {_counted(outage.count, outage.event)} in {lasted}"
    return _message(outage, title, _lines(outage, outage.count - outage.told), over=True)


def _message(outage: Outage, title: str, lines: list[str], *, over: bool = False) -> Message:
    place = ", ".join(part for part in (outage.account, outage.exchange) if part)
    if advice := "" if over and outage.holds else ADVICE.get(outage.event, ""):
        lines = [*lines, advice]
    return Message(
        outage.event,
        outage.account,
        outage.exchange,
        f"{place}: {title}" if place else title,
        "\n".join(lines),
        over=over,
    )


def _lines(outage: Outage, new: int) -> list[str]:
    """Return the texts to show of `new` notices."""
    left = new - len(outage.lines)
    return [f"{left} earlier ones, and:", *outage.lines] if left > 0 else outage.lines


def _counted(count: int, event: str) -> str:
    if count == 1:
        return event
    return f"{event}, {count} times"


def duration(duration_ms: int) -> str:
    """Return a duration for people, in its largest fitting unit."""
    seconds = duration_ms // 1_000
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
