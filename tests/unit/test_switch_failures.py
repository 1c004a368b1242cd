"""What follows from a countdown request that the exchange did not confirm."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest

from worker.model.outcomes import Answer, Closed, CountdownSet, Outcome, Unproven
from worker.model.switches import AT_ONCE, Release
from worker.policy.pauses import THROTTLED_MAX_MS, THROTTLED_MS
from worker.switches.failures import (
    BACKOFF_MAX_MS,
    BACKOFF_MS,
    REFUSED_MAX_MS,
    REFUSED_MS,
    UNAUTHORIZED_MS,
    Failure,
    after_failure,
    after_refusal,
    unproven,
)

ONE = ("s1",)
TWO = ("s1", "s2")
ARRIVES_MS = 2_300
NO_REPLY = Unproven(Outcome.UNKNOWN, "no reply")


class Longest(random.Random):
    """The longest jitter."""

    def randint(self, a: int, b: int) -> int:
        """Return the upper bound."""
        del a
        return b


class Row(NamedTuple):
    """One failure and what follows from it, at the longest jitter."""

    answer: Unproven
    failure: Failure
    members: tuple[str, ...] = ONE
    options: dict[str, Any] = {}  # noqa: RUF012  not changed


def paused(pause_ms: int, **more: Any) -> Failure:
    """Return a pause of the whole account."""
    return Failure(Release(pause_ms=pause_ms), **more)


def deferred(members: tuple[str, ...], first_ms: int, longest_ms: int, **more: Any) -> Failure:
    """Return a deferral of the request's switches."""
    return Failure(Release(failed=members, first_ms=first_ms, longest_ms=longest_ms), **more)


PUT_OFF = deferred(ONE, BACKOFF_MS, BACKOFF_MAX_MS)
ROWS = {
    "the moment to send it had passed": Row(
        Unproven(Outcome.UNAVAILABLE), paused(BACKOFF_MS), options={"expired": True}
    ),
    "not sent": Row(Unproven(Outcome.UNAVAILABLE), PUT_OFF),
    "not sent, for two": Row(
        Unproven(Outcome.UNAVAILABLE), deferred(TWO, BACKOFF_MS, BACKOFF_MAX_MS), TWO
    ),
    "no reply, ordered by nonces": Row(NO_REPLY, PUT_OFF),
    "no reply, by timestamps": Row(
        NO_REPLY,
        Failure(Release(pause_ms=ARRIVES_MS, quiet=True)),
        options={"ordered": False},
    ),
    "no reply, by timestamps, nearly expired": Row(
        NO_REPLY,
        Failure(Release(pause_ms=BACKOFF_MS, quiet=True)),
        options={"ordered": False, "arrives_ms": -5},
    ),
    "nonce refused": Row(Unproven(Outcome.UNAVAILABLE, nonce_floor=7), Failure(AT_ONCE)),
    "nonce refused, floor 0": Row(Unproven(Outcome.REJECTED, nonce_floor=0), Failure(AT_ONCE)),
    "timestamp refused": Row(
        Unproven(Outcome.UNAUTHORIZED, clock_refused=True), paused(BACKOFF_MS)
    ),
    "throttled": Row(Unproven(Outcome.THROTTLED), paused(THROTTLED_MS)),
    "throttled, many failures": Row(
        Unproven(Outcome.THROTTLED), paused(BACKOFF_MAX_MS), options={"failures": 99}
    ),
    "throttled, may go at once": Row(
        Unproven(Outcome.THROTTLED, retry_after_ms=0), paused(BACKOFF_MS // 2)
    ),
    "throttled, for a time": Row(Unproven(Outcome.THROTTLED, retry_after_ms=3_000), paused(3_000)),
    "throttled, for an hour": Row(
        Unproven(Outcome.THROTTLED, retry_after_ms=3_600_000), paused(THROTTLED_MAX_MS)
    ),
    "credentials refused": Row(
        Unproven(Outcome.UNAUTHORIZED), paused(UNAUTHORIZED_MS, lost_account=True)
    ),
    "credentials refused, many failures": Row(
        Unproven(Outcome.UNAUTHORIZED),
        paused(BACKOFF_MAX_MS, lost_account=True),
        options={"failures": 5},
    ),
    "rejected, for two": Row(Unproven(Outcome.REJECTED), Failure(AT_ONCE, split=True), TWO),
    "rejected": Row(
        Unproven(Outcome.REJECTED), deferred(ONE, REFUSED_MS, REFUSED_MAX_MS, refused=True)
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_follows_from_a_failure(row: Row) -> None:
    """Each kind of failure has one consequence."""
    options = {"expired": False, "ordered": True, "arrives_ms": ARRIVES_MS, "failures": 0}
    failure = after_failure(row.answer, row.members, **{**options, **row.options}, rng=Longest())
    assert failure == row.failure


@pytest.mark.parametrize(
    ("failures", "longest_ms"), [(0, 200), (1, 400), (4, 3_200), (5, 5_000), (2_000, 5_000)]
)
def test_pauses_double_up_to_a_bound(failures: int, longest_ms: int) -> None:
    """Each failure in a row doubles the pause, half of which is jitter."""
    pauses = {
        after_failure(
            Unproven(Outcome.UNKNOWN),
            ONE,
            expired=True,
            ordered=True,
            arrives_ms=0,
            failures=failures,
            rng=random.Random(seed),
        ).release.pause_ms
        for seed in range(99)
    }
    assert min(pauses) >= longest_ms // 2
    assert max(pauses) <= longest_ms
    assert len(pauses) > 1


def test_what_is_refused_but_for_some_pairs_is_tried_sooner() -> None:
    """A switch whose refused pairs are left out may have its timer soon."""
    whole = after_refusal(ONE, named=False, rng=Longest())
    partly = after_refusal(ONE, named=True, rng=Longest())
    assert whole == Release(failed=ONE, first_ms=REFUSED_MS, longest_ms=REFUSED_MAX_MS)
    assert partly == Release(failed=ONE, first_ms=REFUSED_MS, longest_ms=BACKOFF_MAX_MS)


@pytest.mark.parametrize("answer", [Closed(Outcome.CANCELED), CountdownSet(), NO_REPLY])
def test_an_answer_to_something_else_proves_nothing(answer: Answer) -> None:
    """It counts as an unknown outcome."""
    assert unproven(answer).outcome is Outcome.UNKNOWN


def test_what_is_unproven_is_judged_as_it_is() -> None:
    """Only an answer out of place is replaced, by words that say so."""
    assert unproven(NO_REPLY) is NO_REPLY
    assert unproven(Closed(Outcome.CANCELED)).detail == "an answer out of place"
