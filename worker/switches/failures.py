"""What follows from a countdown request that the exchange did not confirm: pure decisions."""

from __future__ import annotations

import random
from dataclasses import dataclass

from worker.model.outcomes import Answer, Outcome, Unproven
from worker.model.switches import AT_ONCE, Release
from worker.policy.pauses import delayed_ms, throttled_ms

BACKOFF_MS = 200
BACKOFF_MAX_MS = 5_000
"""Bounds of the first wait after a failure, and of the longest."""
REFUSED_MS = 1_000
REFUSED_MAX_MS = 30_000
"""The same for a switch that is refused for good: each further try costs a rate slot."""
UNAUTHORIZED_MS = 1_000
"""The shortest pause of an account whose credentials are refused."""
MISPLACED = Unproven(Outcome.UNKNOWN, "an answer out of place")


@dataclass(frozen=True, slots=True)
class Failure:
    """What follows from one failure.

    Attributes:
        release: How the lane is given up.
        split: Whether each switch of the request gets a request of its own from now on:
            one of them may be the cause for all.
        refused: Whether the exchange refused the one switch for good: its words may name
            the pairs at fault; see `after_refusal`.
        lost_account: Whether it refused the account's credentials.
    """

    release: Release
    split: bool = False
    refused: bool = False
    lost_account: bool = False


def unproven(answer: Answer) -> Unproven:
    """Return why an answer to a countdown request does not confirm it."""
    return answer if isinstance(answer, Unproven) else MISPLACED


def after_failure(
    answer: Unproven,
    members: tuple[str, ...],
    *,
    expired: bool,
    ordered: bool,
    arrives_ms: int,
    failures: int,
    rng: random.Random,
) -> Failure:
    """Decide what follows from a failure.

    Args:
        answer: What came back.
        members: The switches of the request, by id.
        expired: Whether it was not sent, as the moment to send it had passed.
        ordered: Whether the exchange refuses it once it has seen a later request.
        arrives_ms: For how long it may yet take effect, if it was sent.
        failures: How many failures in a row have paused the account before this one.
        rng: For the jitter.
    """
    backoff_ms = _jittered(min(BACKOFF_MAX_MS, BACKOFF_MS << min(failures, 10)), rng)
    if expired:
        return Failure(Release(pause_ms=backoff_ms))
    if answer.nonce_floor is not None:
        return Failure(AT_ONCE)  # the next nonce is above it
    if answer.clock_refused:
        return Failure(Release(pause_ms=backoff_ms))  # the next timestamp is corrected
    match answer.outcome:
        case Outcome.UNKNOWN if not ordered:
            # The next request must not overtake it.
            return Failure(Release(pause_ms=max(backoff_ms, arrives_ms), quiet=True))
        case Outcome.THROTTLED:
            pause_ms = throttled_ms(answer)
            asked_ms = None if answer.retry_after_ms is None else pause_ms
            return Failure(Release(pause_ms=max(pause_ms, delayed_ms(backoff_ms, asked_ms))))
        case Outcome.UNAUTHORIZED:
            return Failure(Release(pause_ms=max(backoff_ms, UNAUTHORIZED_MS)), lost_account=True)
        case Outcome.REJECTED if len(members) > 1:
            return Failure(AT_ONCE, split=True)
        case Outcome.REJECTED:
            return Failure(after_refusal(members, named=False, rng=rng), refused=True)
        case Outcome.UNKNOWN | Outcome.UNAVAILABLE | Outcome.CANCELED | Outcome.GONE:
            return Failure(deferral(members, BACKOFF_MS, BACKOFF_MAX_MS, rng))


def after_refusal(members: tuple[str, ...], *, named: bool, rng: random.Random) -> Release:
    """Return how the lane is given up after a switch was refused for good.

    Args:
        members: The switch.
        named: Whether the refusal named pairs, which are left out of the next request.
        rng: For the jitter.
    """
    return deferral(members, REFUSED_MS, BACKOFF_MAX_MS if named else REFUSED_MAX_MS, rng)


def deferral(
    members: tuple[str, ...], first_ms: int, longest_ms: int, rng: random.Random
) -> Release:
    """Return a release that lets other switches go first.

    Args:
        members: The switches to defer.
        first_ms: The first wait; it doubles with each failure.
        longest_ms: The longest.
        rng: For the jitter.
    """
    return Release(
        failed=members, first_ms=_jittered(first_ms, rng), longest_ms=_jittered(longest_ms, rng)
    )


def _jittered(bound_ms: int, rng: random.Random) -> int:
    return rng.randint(bound_ms // 2, bound_ms)
