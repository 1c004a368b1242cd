"""The bearer token that a lane's requests carry: shared, and fetched by one worker at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker import clock
from worker.config.settings import Http
from worker.gateway.account import AccountSession
from worker.gateway.ports import TokenBox
from worker.model.outcomes import Answer, Outcome, TokenGrant, Unproven
from worker.model.tokens import SharedToken, used_until_ms
from worker.policy.pauses import THROTTLED_MAX_MS

RETRY_MS = 1_000
"""How long a lane rests after it was refused a token."""
RETRY_MAX_MS = 2_000
"""How long at most for any reason but the rate, whatever one reply asks for: without a
token not even an urgent cancel can go."""
BUSY_MS = 50
"""How long a lane rests while another worker fetches its token."""
MARGIN_MS = 1_000
"""What fetching a token takes beside its request: a killed worker's turn lasts no longer."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not attempted: the lane must rest."""

    pause_ms: int


@dataclass(frozen=True, slots=True)
class NoToken:
    """Attempted, but without a token nothing was sent.

    The lane must rest, or each job in turn would spend one of the few token
    requests there are.
    """

    answer: Unproven
    pause_ms: int


class Bearers:
    """The tokens of the lanes of one process. Safe to use from many threads."""

    def __init__(self, tokens: TokenBox, http: Http) -> None:
        self._tokens = tokens
        self._turn_ms = http.deadline_ms + http.resend_budget_ms + MARGIN_MS

    def get(
        self, lane: AccountSession, *, lease_ms: int, fetch: Callable[[], Answer | Wait]
    ) -> SharedToken | NoToken | Wait:
        """Return the lane's token, fetched if there is none and no other worker fetches it.

        Args:
            lane: Of an exchange that needs tokens.
            lease_ms: How long the caller may hold what it attempts.
            fetch: Asks the exchange for a token.

        Raises:
            StoreUnavailable: Redis did not answer. A turn to fetch that was begun ends
                by itself; a token that was fetched may be shared.
        """
        shared = self._tokens.get(lane.identity, lane.access, now_ms=clock.now_ms())
        if shared is not None:
            return shared
        if not self._tokens.begin_refresh(lane.identity, lease_ms=min(lease_ms, self._turn_ms)):
            return Wait(BUSY_MS)
        try:
            # Another worker may have been done just before we began.
            shared = self._tokens.get(lane.identity, lane.access, now_ms=clock.now_ms())
            return shared if shared is not None else self._fetched(lane, fetch())
        finally:
            self._tokens.end_refresh(lane.identity)

    def drop(self, lane: AccountSession, shared: SharedToken) -> None:
        """Forget a token that the exchange refused, unless a newer one is there.

        Raises:
            StoreUnavailable: Redis did not answer. Retrying is safe.
        """
        self._tokens.drop(lane.identity, shared)

    def _fetched(self, lane: AccountSession, answer: Answer | Wait) -> SharedToken | NoToken | Wait:
        if isinstance(answer, Wait):
            return answer
        if not isinstance(answer, TokenGrant):
            return _none(answer)
        now_ms = clock.now_ms()
        until_ms = used_until_ms(answer, now_ms=now_ms)
        return self._tokens.put(
            lane.identity, lane.access, answer.token, until_ms=until_ms, now_ms=now_ms
        )


def _none(answer: Answer) -> NoToken:
    """Say of a job what the refusal of a token means for it."""
    if not isinstance(answer, Unproven):
        return NoToken(Unproven(Outcome.UNAVAILABLE, "no token"), RETRY_MS)
    outcome = answer.outcome
    if outcome in (Outcome.UNKNOWN, Outcome.REJECTED):
        outcome = Outcome.UNAVAILABLE  # of the token: for the order nothing was sent
    longest_ms = THROTTLED_MAX_MS if outcome is Outcome.THROTTLED else RETRY_MAX_MS
    pause_ms = max(min(answer.retry_after_ms or 0, longest_ms), RETRY_MS)
    return NoToken(Unproven(outcome, f"no token: {answer.detail}", pause_ms), pause_ms)
