"""Read a list of open orders to its last page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from worker import clock
from worker.gateway.tokens import NoToken, Wait
from worker.model.commands import ListOpenOrders, ListStopOrders
from worker.model.outcomes import Answer, OpenOrders, Outcome, Unproven

PAGES_MAX = 100
"""Requests for one list. What is beyond is listed again once the orders before it are closed."""
READINGS_MAX = 3
"""How often pages that shift are read until two readings agree."""

Lists = ListOpenOrders | ListStopOrders
Answered = Answer | Wait | NoToken


def read_pages(
    ask: Callable[[Lists], Answered],
    command: Lists,
    *,
    until_ms: float,
    shift: bool,
    hasty: bool = False,
) -> Answered:
    """Ask for a list, page after page.

    Args:
        ask: Sends one command.
        command: For the first page.
        until_ms: By when the last answer is needed, on the local monotonic clock.
        shift: As `Capabilities.pages_shift`.
        hasty: Read no other page if the first one has orders, so that they are canceled first.

    Returns:
        One `OpenOrders` of all pages, without `next`. It is not complete if a page is not
        available, or there are more than `PAGES_MAX`. An answer to the first page that is no
        list, and a refusal for the rate on any page, is returned as it is.
    """
    pages, count = _read(ask, command, until_ms=until_ms, most=PAGES_MAX, hasty=hasty)
    if not isinstance(pages, list):
        return pages
    found = _merged(pages)
    readings = 1
    while shift and len(pages) > 1 and found.complete and readings < READINGS_MAX:
        former, (pages, used) = (
            found,
            _read(ask, command, until_ms=until_ms, most=PAGES_MAX - count),
        )
        if not isinstance(pages, list):
            return pages if _throttled(pages) else replace(former, complete=False, seen=())
        count, readings = count + used, readings + 1
        found = _merged([former, *pages])
        if _seen(pages) == former.seen:
            return replace(found, seen=())
        found = replace(found, seen=_seen(pages))
    settled = not shift or len(pages) == 1
    return replace(found, complete=found.complete and settled, seen=())


def _read(
    ask: Callable[[Lists], Answered],
    command: Lists,
    *,
    until_ms: float,
    most: int,
    hasty: bool = False,
) -> tuple[list[OpenOrders] | Answered, int]:
    """Return the pages, the last one with a `next` if it is not the last there is."""
    pages: list[OpenOrders] = []
    after, asked = command.after, 0
    while asked < most:
        answer = ask(replace(command, after=after))
        asked += 1
        if isinstance(answer, Wait) and pages and _pause(answer, until_ms):
            continue
        if not isinstance(answer, OpenOrders):
            return (answer if not pages or _throttled(answer) else pages), asked
        pages.append(answer)
        if not answer.next or answer.next == after or (hasty and answer.orders):
            break
        after = answer.next
    return pages, asked


def _pause(wait: Wait, until_ms: float) -> bool:
    """Wait for a rate slot between two pages, if there is time."""
    if clock.monotonic_ms() + wait.pause_ms >= until_ms:
        return False
    clock.sleep_ms(wait.pause_ms)
    return True


def _throttled(answer: Answered) -> bool:
    return isinstance(answer, Unproven) and answer.outcome is Outcome.THROTTLED


def _seen(pages: Sequence[OpenOrders]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(order_id for page in pages for order_id in page.seen))


def _merged(pages: Sequence[OpenOrders]) -> OpenOrders:
    orders = dict.fromkeys(order for page in pages for order in page.orders)
    complete = all(page.complete for page in pages) and not pages[-1].next
    return OpenOrders(tuple(orders), complete, seen=_seen(pages))
