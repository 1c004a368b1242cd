"""Which cancels go together, and what one reply says of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.model.constants import JOB_FORMAT
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import Answer, Closed, ClosedMany, Outcome, Unproven
from worker.policy.batching import answer_to, together

LOST = Unproven(Outcome.UNKNOWN, "no reply")


def job(order_id: str, **fields: object) -> Job:
    """Return a cancel that has just been claimed for the first time."""
    fresh = Job(
        id=f"j{order_id}",
        kind=Kind.CANCEL,
        state=State.PENDING,
        lane="everstrike:ev",
        order_id=order_id,
        attempts=1,
    )
    return replace(fresh, **fields)  # type: ignore[arg-type]


def grouped(*jobs: Job, most: int = 3) -> list[list[str]]:
    """Return the orders of each request."""
    return [[each.order_id or "" for each in group] for group in together(jobs, most)]


def test_fresh_cancels_share_requests_as_large_as_may_be() -> None:
    """In the order in which they came."""
    jobs = [job(f"a{n}") for n in range(7)]
    assert grouped(*jobs) == [["a0", "a1", "a2"], ["a3", "a4", "a5"], ["a6"]]


def test_each_goes_alone_where_nothing_else_is_asked_for() -> None:
    """An account that has not turned it on."""
    assert grouped(job("a"), job("b"), most=1) == [["a"], ["b"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"attempts": 2},
        {"phase": Phase.SEND},
        {"phase": Phase.ASK},
        {"lost": True},
        {"kind": Kind.CANCEL_ALL, "order_id": None},
        {"version": JOB_FORMAT + 1},
        {"client_order_id": "my-1"},
        {"stop": True},
        {"client_order_id": "my-1", "stop": True},
    ],
)
def test_what_was_attempted_before_goes_alone(fields: dict[str, object]) -> None:
    """A request that several shared may be what was wrong with it."""
    odd = replace(job("odd"), **fields)  # type: ignore[arg-type]
    assert grouped(job("a"), odd, job("b")) == [["a", "b"], [odd.order_id or ""]]


def test_the_same_order_of_two_pairs_is_not_named_twice() -> None:
    """One proof must not be taken for the other's."""
    jobs = [job("a", pair="btc_idr"), job("a", pair="eth_idr"), job("b")]
    assert grouped(*jobs) == [["a", "b"], ["a"]]


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (ClosedMany({"a": Outcome.GONE, "b": Outcome.CANCELED}), Closed(Outcome.GONE)),
        (LOST, LOST),
        (Unproven(Outcome.THROTTLED, "slow down", 500),) * 2,
        (Unproven(Outcome.UNAUTHORIZED, "no"),) * 2,
    ],
)
def test_each_takes_what_the_answer_says_of_it(answer: Answer, read: Answer) -> None:
    """Its own proof, or what befell the request."""
    assert answer_to(job("a"), answer) == read


NOT_NAMED = "not named in the reply for several orders"
AS_A_WHOLE = "several orders in one request refused: one of them is malformed"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (ClosedMany({"b": Outcome.CANCELED}), NOT_NAMED),
        (ClosedMany({}, others=3), NOT_NAMED),
        (Unproven(Outcome.REJECTED, "one of them is malformed"), AS_A_WHOLE),
    ],
)
def test_order_that_the_reply_does_not_name_is_unknown(answer: Answer, detail: str) -> None:
    """Not in the reply, or refused with others: neither proven nor given up."""
    read = answer_to(job("a"), answer)
    assert isinstance(read, Unproven)
    assert (read.outcome, read.detail) == (Outcome.UNKNOWN, detail)
