"""What to do after an attempt: a pure decision, from the job and the answer."""

from __future__ import annotations

import random
from dataclasses import replace

from worker.config.settings import Jobs
from worker.model.decisions import Again, Dead, Decision, Done
from worker.model.jobs import Job, Kind, Phase
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    ClosedMany,
    CountdownSet,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    ScopeCanceled,
    TimerReading,
    TokenGrant,
    Unproven,
)
from worker.policy.pair_proofs import PairDoubt
from worker.policy.pauses import THROTTLED_MAX_MS, delayed_ms
from worker.policy.scopes import Lists, by_list, scope_sent

SENDS_BEFORE_ASKING = 2
"""An exchange that says it could not is sent the cancel again this often
before it is asked about the order."""
ASKS_IN_VAIN = 3
"""Answers in a row that prove nothing, after which an order is not only asked about."""
REJECTED_WAIT_MS = 1_000
"""From a refusal for good to the one attempt that must confirm it: a state of the exchange
that its code does not distinguish from a mistake may have passed by then."""
MISSING_STEPS = 3**6
MISSING_FACTOR = 3
MISSING_GROWTH = 8
"""An order that is not known is tried again after this part of `missing_max_ms`, then after
`MISSING_FACTOR` times as long with each attempt, but at most `MISSING_GROWTH` times as long
as it has been unknown: at most 12 attempts in all. An attempt that says nothing of the
order puts nothing off, and a cancel's word for it is first confirmed by a question."""
EAGER_ATTEMPTS = 3
"""Attempts after which even a hopeful next step waits its backoff."""
DOUBTFUL_ATTEMPTS = 3
"""Attempts without a proof after which a job no longer goes before others."""
UNAUTHORIZED_WAIT_MS = 1_000
UNAUTHORIZED_WAIT_MAX_MS = 60_000
"""How long a job leaves refused credentials alone at first, then twice as long each time, at
most so long. What the account's other jobs do then is in `lib/access.lua`."""
REFUSALS_BEFORE_TURNING = 2
"""Refusals of an order's cancel after which the exchange is asked about it, or the reverse:
a key may lack the right to one of the two."""
ASKED_URGENT_MAX_MS = 2_000
ASKED_MAX_MS = 30_000
"""The longest that one reply may put an urgent job off, and another, for any reason but the
rate: the exchange may be back long before."""


def doubtful(job: Job, decision: Again) -> bool:
    """Return whether a job gets only a small share of the attempts while others wait.

    So it is from its third attempt on, and once the exchange has twice called its order
    unknown, or its request a mistake; unless it shows the order open: then another cancel may well
    end it. What is refused for the rate or the credentials says nothing of the order.
    """
    if decision.outcome in (Outcome.THROTTLED, Outcome.UNAUTHORIZED):
        return job.doubtful
    if decision.accepted:
        return job.doubtful
    mistake = (job.missing and decision.missing) or decision.outcome is Outcome.REJECTED
    return (mistake or job.attempts >= DOUBTFUL_ATTEMPTS) and not decision.found


def backoff_ms(attempts: int, jobs: Jobs, rng: random.Random) -> int:
    """Return a full-jitter backoff: anywhere from 0 to a bound that doubles."""
    bound = min(jobs.backoff_max_ms, jobs.backoff_base_ms * 2 ** max(0, min(attempts, 20)))
    return rng.randrange(bound + 1)


def decide(
    job: Job,
    answer: Answer,
    *,
    asks: Phase | None,
    now_ms: int,
    jobs: Jobs,
    rng: random.Random,
    stops: bool = False,
    past: bool = False,
    repeats: Phase | None = None,
    doubt: PairDoubt | None = None,
    unasked: str = "",
) -> Decision:
    """Decide what follows from an answer.

    Args:
        job: As claimed; what it `sends` is what was sent.
        answer: What came back.
        asks: The phase that asks the exchange about this job; None if it cannot
            be asked. Only what is unproven, or merely accepted, is asked about.
        now_ms: Redis time.
        jobs: The budgets.
        rng: For the jitter.
        stops: The exchange lists stop orders apart from others.
        past: It keeps closed orders apart, and can be asked about them.
        repeats: The phase that cancels a whole scope again while many orders are left in it;
            None if one cancel reaches all of it.
        doubt: Why an empty list of the scope's pair proves nothing; None if it does.
        unasked: As in `Lists`.
    """
    if doubt is not None and doubt.refused:
        return Dead(Outcome.REJECTED, doubt.why)
    why, misnamed = (doubt.why, doubt.misnamed) if doubt else ("", False)
    lists = Lists(stops=stops, repeats=repeats, doubt=why, misnamed=misnamed, unasked=unasked)
    decision = (
        _by_answer(job, answer, asks=asks, now_ms=now_ms, jobs=jobs, rng=rng, lists=lists)
        if _fits(job, answer)
        else _misplaced(job, backoff_ms(job.attempts, jobs, rng))
    )
    if not isinstance(decision, Again) or decision.held:
        return decision
    # The budgets of a scope that is kept empty count from the end of that.
    held = job.hold_until_ms is not None
    age = now_ms - max(job.first_ms or now_ms, min(job.hold_until_ms or 0, now_ms))
    if decision.refused and job.refused_ms is not None:
        # Others may have been its account's probes for all that time.
        age = max(age, now_ms - max(job.created_ms, job.refused_ms))
    missing = now_ms - (job.missing_ms or now_ms)
    if past and _not_open(job, answer):
        # Until the closed orders have been asked for, the order is not missing.
        soon_ms = 0 if job.attempts < EAGER_ATTEMPTS else decision.delay_ms
        decision = replace(decision, phase=Phase.PAST, delay_ms=soon_ms)
        return replace(decision, doubtful=doubtful(job, decision))
    # What a cancel's "unknown order" leaves open, a question may answer.
    asked = asks is None or not job.sends.cancels
    if _missing(answer) and asked and missing >= jobs.missing_max_ms:
        gone = f"unknown to the exchange for {missing} ms"
        return Dead(decision.outcome, f"{gone}; {decision.detail}", decision.detail)
    if _missing(answer) and (asks is None or isinstance(answer, OrderReport)):
        spaced_ms = _spaced_ms(missing, job.attempts, jobs, rng)
        decision = replace(decision, delay_ms=max(decision.delay_ms, spaced_ms))
    # What was accepted has not failed: the question that follows is still asked.
    accepted = isinstance(answer, CancelAccepted)
    if job.attempts >= jobs.max_attempts and not (accepted or held):
        return _dead(decision, f"{job.attempts} attempts made")
    if age >= jobs.max_age_ms:
        return _dead(decision, f"not proven within {age} ms")
    return replace(decision, doubtful=doubtful(job, decision))


def _dead(last: Again, why: str) -> Dead:
    """Return the end of a job whose budget is spent, with what its last attempt has shown."""
    return Dead(
        last.outcome,
        f"{why}; {last.detail}",
        last.detail,
        swept=last.swept,
        canceled=last.canceled,
    )


def _spaced_ms(missing_ms: int, attempts: int, jobs: Jobs, rng: random.Random) -> int:
    """Return how long to wait with an order that has been unknown to the exchange for so long.

    Time that was spent behind a backlog does not make the next wait longer.
    """
    first_ms = max(1, jobs.missing_max_ms // MISSING_STEPS)
    by_count_ms = first_ms * int(MISSING_FACTOR ** max(0, min(attempts, 20) - 2))
    spaced_ms = max(first_ms, min(MISSING_GROWTH * missing_ms, by_count_ms))
    spaced_ms += rng.randrange(spaced_ms // 10 + 1)
    return max(first_ms, min(spaced_ms, jobs.missing_max_ms - missing_ms))


def _not_open(job: Job, answer: Answer) -> bool:
    """Return whether a question has shown that an order is not among those kept at hand."""
    match answer:
        case OrderReport(state=OrderState.MISSING):
            return job.sends is Phase.ASK
        case _:
            return False


def _missing(answer: Answer) -> bool:
    match answer:
        case Unproven(missing=True) | OrderReport(state=OrderState.MISSING):
            return True
        case _:
            return False


def _by_answer(
    job: Job,
    answer: Answer,
    *,
    asks: Phase | None,
    now_ms: int,
    jobs: Jobs,
    rng: random.Random,
    lists: Lists,
) -> Decision:
    if isinstance(answer, Closed):  # first: most are
        return Done(answer.outcome, answer.detail)
    wait = backoff_ms(job.attempts, jobs, rng)
    soon = 0 if job.attempts < EAGER_ATTEMPTS else wait
    match answer:
        case OrderReport(OrderState.CANCELED, detail):
            return Done(Outcome.CANCELED, detail)
        case OrderReport(OrderState.FILLED, detail):
            return Done(Outcome.GONE, detail)
        case OrderReport(OrderState.OPEN, detail, kind):
            why = detail or "still open"
            return Again(Phase.SEND, soon, Outcome.UNKNOWN, why, found=True, stop_kind=kind)
        case OrderReport(OrderState.MISSING, detail):
            unknown = detail or "order not known"
            return Again(Phase.SEND, wait, Outcome.UNKNOWN, unknown, missing=True)
        case CancelAccepted(detail):
            # Not a failed attempt: without a question to ask, it is sent again in a while.
            delay_ms = 0 if asks else wait
            return Again(asks or job.sends, delay_ms, Outcome.UNKNOWN, detail, 0, accepted=True)
        case ScopeCanceled(count, order_ids):
            then = Phase.STOPS if lists.stops else Phase.LIST
            then = Phase.SELL if job.sends is Phase.BUY else then
            detail = scope_sent(count, order_ids)
            swept = count is None
            return Again(then, 0, Outcome.UNKNOWN, detail, swept=swept, canceled=count or 0)
        case OpenOrders():
            return by_list(job, answer, wait, now_ms, lists)
        case Unproven():
            return _unproven(job, answer, asks=asks, wait=wait, soon=soon)
        case ClosedMany() | CountdownSet() | TimerReading():
            pass
        case PairList() | TokenGrant() | OrderReport():
            pass
    return _misplaced(job, wait)


def _misplaced(job: Job, wait: int) -> Again:
    detail = "an answer out of place"
    return Again(job.sends, wait, Outcome.UNKNOWN, detail, listed=job.listed, empty=job.empty)


def _fits(job: Job, answer: Answer) -> bool:
    """Return whether this answers what the job sent: nothing else proves anything of it."""
    phase, whole = job.sends, job.kind is Kind.CANCEL_ALL
    match answer:
        case Unproven():
            return True
        case Closed(outcome):
            return phase is Phase.SEND and not whole and outcome.proven
        case CancelAccepted():
            return phase is Phase.SEND and not whole
        case ScopeCanceled():
            return phase.cancels and whole
        case OrderReport():
            return phase.asks and not whole
        case OpenOrders():
            return phase.lists and whole
        case ClosedMany() | CountdownSet() | TimerReading() | PairList() | TokenGrant():
            return False


def _unproven(job: Job, answer: Unproven, *, asks: Phase | None, wait: int, soon: int) -> Decision:
    phase = job.sends
    if answer.outcome.proven:
        answer = replace(answer, outcome=Outcome.UNKNOWN)
    streak = 1 + (job.streak if job.outcome is answer.outcome else 0)
    # What the exchange called missing is more likely closed than open, so that
    # only an answer can help; else send again, in case it never arrived.
    missing = answer.missing or (job.missing and phase.asks)
    if phase.cancels:
        turned = asks or phase
    else:
        tired = streak >= ASKS_IN_VAIN
        turned = Phase.SEND if phase.asks and (tired or not missing) else phase
    sends = SENDS_BEFORE_ASKING if job.missing_ms is None else 1
    delay = _delay_ms(job, answer, wait, streak)
    again = Again(
        phase,
        delay,
        answer.outcome,
        answer.detail or answer.outcome.lower(),
        streak,
        missing,
        put_off=answer.retry_after_ms is not None and answer.outcome is not Outcome.THROTTLED,
        listed=job.listed,
        empty=job.empty,
    )
    if answer.nonce_floor is not None or answer.clock_refused:
        # Refused for the stamp alone: nothing was done, and the next is corrected.
        return replace(again, delay_ms=soon)
    match answer.outcome:
        case Outcome.REJECTED if phase.asks:
            # The question was refused, not the cancel.
            return replace(again, phase=Phase.SEND, outcome=Outcome.UNKNOWN)
        case Outcome.REJECTED:
            return _rejected(job, again, final=answer.final)
        case Outcome.UNAUTHORIZED if answer.token_refused and streak == 1 and not job.refused:
            return replace(again, delay_ms=0)
        case Outcome.UNAUTHORIZED:
            return _unauthorized(job, again, asks=asks, streak=streak)
        case Outcome.THROTTLED:
            return again
        case Outcome.UNAVAILABLE if phase.cancels and streak < sends:
            return again
        case Outcome.UNAVAILABLE:
            return replace(again, phase=turned)
        case Outcome.UNKNOWN | Outcome.CANCELED | Outcome.GONE:
            hopeful = not turned.cancels and answer.retry_after_ms is None
            return replace(
                again,
                phase=turned,
                delay_ms=soon if hopeful else delay,
            )


def _rejected(job: Job, again: Again, *, final: bool) -> Decision:
    """End a job that was refused for good twice in a row, in the same words."""
    if final or (job.outcome is Outcome.REJECTED and job.detail == again.detail):
        return Dead(again.outcome, again.detail)
    return replace(again, delay_ms=max(again.delay_ms, REJECTED_WAIT_MS))


def _unauthorized(job: Job, again: Again, *, asks: Phase | None, streak: int) -> Again:
    """Wait for better credentials; the account's other jobs wait for this attempt's like."""
    phase, turns = again.phase, streak >= REFUSALS_BEFORE_TURNING
    if turns and job.sends.asks:
        phase = Phase.SEND
    elif turns and job.kind is not Kind.CANCEL_ALL:
        phase = asks or phase
    return replace(again, phase=phase, refused=True)


def _delay_ms(job: Job, answer: Unproven, wait: int, streak: int) -> int:
    if answer.outcome is Outcome.UNAUTHORIZED:
        refused_ms = UNAUTHORIZED_WAIT_MS << min(streak - 1, 10)
        wait = max(wait, min(refused_ms, UNAUTHORIZED_WAIT_MAX_MS))
    return delayed_ms(wait, _granted_ms(job, answer))


def _granted_ms(job: Job, answer: Unproven) -> int | None:
    """Return how much of the wait that one reply asks for is granted; None for no wait."""
    longest_ms = ASKED_URGENT_MAX_MS if job.urgent else ASKED_MAX_MS
    if answer.outcome is Outcome.THROTTLED:
        longest_ms = THROTTLED_MAX_MS
    return None if answer.retry_after_ms is None else min(answer.retry_after_ms, longest_ms)
