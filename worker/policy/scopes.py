"""What follows from the lists of a scope's open orders, and how a scope ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worker.model.decisions import Again, Decision, Done
from worker.model.jobs import KEEP, Job, Phase
from worker.model.outcomes import OpenOrders, Outcome

LIST_AGAIN_MS = 250
"""From finding orders open in a scope to looking again."""
HOLD_LOOK_MS = 1_000
"""From finding a scope empty that is kept empty to looking again."""
SCOPE_SENT = "cancel-all accepted"
SWEPT = "a cancel of all of it was sent, and no reply says what it canceled"
CHILDREN_WAIT_MS = 5_000
"""How long a scope that is listed as empty waits for the results of its orders' cancels."""
UNSEEN = "no list of this account has shown this pair yet: check how it is written"
FIRST_LOOK = "no open order in the scope at the first look"
OTHERS_GONE = "no other order left in the scope; stop orders are listed again"
LIST_TWICE_MS = 2_000
"""From finding none at the first look to looking again: an order that was placed just
before may not be shown yet, and none has been canceled that would prove the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """How an exchange shows a scope.

    Attributes:
        stops: It lists stop orders apart from others.
        repeats: The phase that cancels the whole scope again while many orders are left in
            it; None if one cancel reaches all of it, or there is none.
        doubt: Why an empty list proves nothing; empty if it does.
        misnamed: As in `PairDoubt`.
        unasked: Which orders may be open about which it cannot be asked, in words; empty for
            none.
    """

    stops: bool = False
    repeats: Phase | None = None
    doubt: str = ""
    misnamed: bool = False
    unasked: str = ""


PLAIN_LISTS = Lists()
REPEAT_ABOVE = 50
"""Orders left in a scope above which it is canceled again as a whole: fewer are canceled
one by one, and so are all after `REPEATS_MAX` attempts, in case it does not reach them."""
REPEATS_MAX = 50
NAMED_MAX = 20
"""Orders that a cancel-all's attempt names, of those that it canceled."""


def repeated(job: Job, answer: OpenOrders) -> bool:
    """Return whether many orders are left that a cancel of the whole scope may reach."""
    left = sum(not row.stop for row in answer.orders)
    return left > REPEAT_ABOVE and job.attempts < REPEATS_MAX


def by_list(
    job: Job, answer: OpenOrders, wait: int, now_ms: int, lists: Lists = PLAIN_LISTS
) -> Decision:
    """Decide what follows from a list of a scope's open orders.

    Where the exchange lists stop orders apart, they are listed once, so that each gets its
    cancel; then the others until there are none; then the stop orders likewise.
    """
    phase, stops = job.sends, lists.stops
    if job.stops == KEEP:
        answer = replace(answer, orders=tuple(row for row in answer.orders if not row.stop))
    if phase is Phase.STOPS:
        detail = f"{len(answer.orders)} stop orders open"
        if answer.complete:
            return Again(Phase.LIST, 0, Outcome.UNKNOWN, detail)
        return Again(Phase.STOPS, LIST_AGAIN_MS + wait, Outcome.UNKNOWN, detail)
    held_ms = (job.hold_until_ms or now_ms) - now_ms
    if held_ms > 0:
        wait = 0  # orders that a bot goes on placing are canceled as fast as the first
    if answer.orders or not answer.complete:
        detail = f"{len(answer.orders)} still open"
        if lists.repeats and repeated(job, answer):
            detail = f"{len(answer.orders)} still open: all are canceled again"
            return Again(lists.repeats, LIST_AGAIN_MS + wait, Outcome.UNKNOWN, detail)
        known = answer.complete or job.listed or job.empty
        return Again(phase, LIST_AGAIN_MS + wait, Outcome.UNKNOWN, detail, listed=known)
    if lists.doubt:
        known = job.listed or not lists.misnamed
        return Again(phase, max(LIST_TWICE_MS, wait), Outcome.UNKNOWN, lists.doubt, listed=known)
    if not (job.listed or job.empty):
        return Again(phase, LIST_TWICE_MS, Outcome.UNKNOWN, FIRST_LOOK, empty=True)
    if held_ms > 0:
        delay_ms, detail = min(HOLD_LOOK_MS, held_ms), f"kept empty for another {held_ms} ms"
        then = Phase.STOPS if stops else Phase.LIST
        return Again(then, delay_ms, Outcome.UNKNOWN, detail, listed=True, empty=True, held=True)
    left = job.children - job.canceled - job.closed - job.unproven
    if left > 0 and now_ms - max(job.empty_ms or now_ms, job.hold_until_ms or 0) < CHILDREN_WAIT_MS:
        # What a list no longer shows was canceled or filled; its own cancel says which.
        detail = f"no open order left in the scope; {left} cancels not proven yet"
        wait += LIST_AGAIN_MS
        return Again(phase, wait, Outcome.UNKNOWN, detail, listed=True, empty=True)
    if stops and phase is Phase.LIST:
        return Again(Phase.STOPS_LEFT, 0, Outcome.UNKNOWN, OTHERS_GONE, listed=True, empty=True)
    return closed_scope(job, unasked=lists.unasked)


def scope_sent(count: int | None, order_ids: Sequence[str]) -> str:
    """Return in words what a cancel of a whole scope has canceled.

    Args:
        count: How many orders, if the exchange says.
        order_ids: Those that it names.
    """
    if count is None:
        return SCOPE_SENT
    named = ", ".join(order_ids[:NAMED_MAX]) + (", …" if len(order_ids) > NAMED_MAX else "")
    return f"{SCOPE_SENT}: {count} canceled" + (f" ({named})" if named else "")


def closed_scope(job: Job, why: str = "", *, unasked: str = "") -> Done:
    """Return the end of a scope in which nothing is open; `GONE` if it had nothing canceled.

    Args:
        job: The scope's, as claimed.
        why: Why it ends before it was looked at twice.
        unasked: As in `Lists`.
    """
    outcome = Outcome.CANCELED if job.canceled else Outcome.GONE
    counts = {
        "canceled": job.canceled,
        "found closed": job.closed,
        "not proven": job.children - job.canceled - job.closed,
    }
    if job.children:
        told = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
        detail = f"no open order left in the scope: {told}"
    elif job.sends is Phase.STOPS_LEFT:
        twice = "nothing open in the scope, nor a stop order, looked at twice"
        detail = FIRST_LOOK if why else twice
    elif job.listed:
        detail = "nothing open any more in the scope: its orders had cancels of their own"
    else:
        detail = FIRST_LOOK if why else "nothing open in the scope, looked at twice"
    if job.swept:
        detail += f"; {SWEPT}"
    if job.unseen and not job.swept:
        detail += f"; {UNSEEN}"
    if unasked:
        detail += f"; {unasked}"
    return Done(outcome, f"{detail}{why}")
