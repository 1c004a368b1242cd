"""How long to wait after a reply, with and without a time from the exchange."""

from __future__ import annotations

import pytest

from worker.model.outcomes import Answer, Closed, Outcome, Unproven
from worker.policy.pauses import THROTTLED_MAX_MS, THROTTLED_MS, delayed_ms, throttled_ms


@pytest.mark.parametrize(
    ("answer", "pause_ms"),
    [
        (Unproven(Outcome.THROTTLED), THROTTLED_MS),
        (Unproven(Outcome.THROTTLED, retry_after_ms=0), 0),
        (Unproven(Outcome.THROTTLED, retry_after_ms=1), 1),
        (Unproven(Outcome.THROTTLED, retry_after_ms=THROTTLED_MAX_MS), THROTTLED_MAX_MS),
        (Unproven(Outcome.THROTTLED, retry_after_ms=THROTTLED_MAX_MS + 1), THROTTLED_MAX_MS),
        (Unproven(Outcome.UNAVAILABLE, retry_after_ms=5_000), 0),
        (Closed(Outcome.CANCELED), 0),
    ],
)
def test_only_a_refusal_for_the_rate_pauses_the_account(answer: Answer, pause_ms: int) -> None:
    """The exchange's time counts, 0 as well; without one the account waits a second."""
    assert throttled_ms(answer) == pause_ms


@pytest.mark.parametrize(
    ("asked_ms", "delay_ms"), [(None, 101), (0, 50), (49, 50), (51, 51), (900, 900)]
)
def test_a_named_time_leaves_at_least_half_the_backoff(asked_ms: int | None, delay_ms: int) -> None:
    """Without a time from the exchange the whole backoff is waited."""
    assert delayed_ms(101, asked_ms) == delay_ms
