"""No two accounts share a key in Redis, whatever they are called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.ledgers import Verb, settlement
from tests.support.stepped_time import KEY, Stepped
from worker.model.jobs import Kind, NewJob
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.store.ledger import Ledger
from worker.store.switches import Switches

ODD = ["switch", "orders", "refresh", "next", "urgent", "lane", "due", "scope", "moved", "ev"]
ALIASES = st.one_of(
    st.sampled_from(ODD), st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)
)
EXCHANGES = st.sampled_from(["everstrike", "indodax", "bitmart"])
ACCOUNTS = st.tuples(EXCHANGES, ALIASES)
SHARED = {
    *("lanes", "accounts", "serving", "registered:d", "recent", "switches", "tripped", "dead"),
    *("workers", "born", "replid", "astray", "clock"),
}
"""Keys that hold what belongs to all accounts."""


@pytest.fixture
def clock(redis_url: str) -> Stepped:
    """A Redis on a stepped clock."""
    return Stepped(redis_url)


def keys_of(clock: Stepped, exchange: str, alias: str) -> set[str]:
    """Return the keys that one account has in the end, its records apart."""
    client: Any = clock.client
    client.flushdb()
    clock.set(clock.now_ms)
    ledger, switches = Ledger(clock.store(), digest="d"), Switches(clock.store())
    ledger.register(
        [(alias, exchange, 1)], native={"indodax"}, identities={alias: f"{exchange}-{alias}"}
    )
    lane = lane_of(exchange, alias)
    found: set[str] = set()

    def look() -> None:
        found.update(name.removeprefix("cx:") for name in client.keys("*") if name != KEY)

    def arm(timeout_ms: int, *orders: str) -> str:
        return switches.arm(
            switch_id=new_id(),
            lane=lane,
            account=alias,
            native=exchange == "indodax",
            pairs=[f"p{timeout_ms}_x"],
            order_ids=orders,
            timeout_ms=timeout_ms,
            bell=("bells", "x"),
        ).switch_id

    ledger.accept([NewJob(new_id(), lane, Kind.CANCEL, order_id=str(n)) for n in range(3)])
    look()
    (job, *_) = ledger.claim(exchange=exchange, holder="w", lease_ms=1_000, lane=lane).jobs
    again = settlement(job, Verb.AGAIN, delay_ms=5)
    ledger.settle([again], holder="w", retention_ms=9_000, lease_ms=1_000, limit=0)
    look()
    arm(1_000, "o1")
    switches.disarm(arm(60_000), 0, ("bells", "x"))
    look()
    clock.advance(2_000)
    ledger.claim(exchange=exchange, holder="w", lease_ms=1_000, lane=f"{lane}:switch")
    look()
    return {name for name in found if not name.startswith(("job:", "switch:")) and name != "bells"}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(one=ACCOUNTS, other=ACCOUNTS)
def test_two_accounts_share_no_key(
    clock: Stepped, one: tuple[str, str], other: tuple[str, str]
) -> None:
    """But those that hold what belongs to all."""
    assume(one != other)
    both = keys_of(clock, *one) & keys_of(clock, *other)
    # One alias on two exchanges: what an older version kept by alias alone is blocked there.
    former = {f"scope:{one[1]}", f"lane:{one[1]}"} if one[1] == other[1] else set()
    assert both - SHARED - former == set()
