"""Rate limits, bans and pauses in `/v1/status`, as workers show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.web_server import Web, serving
from tests.support.world import World
from worker.factory import build_sessions, digest_of
from worker.gateway.budgets import budgets_of
from worker.model.constants import PRESENCE_MS
from worker.simulator import Simulator
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter

LONG_MS = 3_600_000


@pytest.fixture
def web(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[Web]:
    """A web process, and the record of a worker that serves three accounts."""
    world = World(sim, redis_url, tmp_path, aliases=("ev", "bm", "bn"))
    with serving(world) as made:
        yield made


def lines(web: Web, *accounts: str) -> dict[str, Any]:
    """Return the state as a token for these accounts sees it."""
    found: dict[str, Any] = web.client(accounts=accounts).get("/v1/status")
    return found


def test_limits_bans_and_pauses_are_shown_to_whom_they_concern(web: Web) -> None:
    """What is used counts requests of all workers; nothing is shown of dead workers."""
    world = web.world
    store, sessions = world.store(), build_sessions(world.settings())
    digest, limiter = digest_of(sessions), Limiter(store)
    ledger = Ledger(store, digest=digest)
    every = sessions.values()
    shown = [*budgets_of(every), *budgets_of(every, bans=True)]
    ledger.show_budgets(shown)
    assert lines(web)["limits"] == [], "no worker that has these accounts lives"

    ledger.register([(each.alias, each.exchange.name, 0) for each in every])
    (rule, *_) = [rule for _, rule in sessions["bm"].rules if not rule.ban]
    limiter.reserve([rule], flight_ms=LONG_MS)
    limiter.ban(sessions["bn"].bans, LONG_MS)
    now_ms = ledger.now_ms()
    store.client.hset("cx:lane:everstrike:ev", "not_before", str(now_ms + LONG_MS))
    store.client.hset("cx:lane:bitmart:bm", "refused", "API key")
    world.producer().cancel("ev", "waits")

    def settled(*accounts: str) -> dict[str, Any]:
        ledger.heartbeat("w", ttl_ms=PRESENCE_MS)
        ledger.show_budgets(shown)
        found = lines(web, *accounts)
        return found if found["limits"] and found["lanes"] else {}

    state = eventually(settled, within_ms=60_000)
    used = {(it["exchange"], it["limit"]): it for it in state["limits"]}
    assert used["bitmart", rule.key.split(":")[1]]["used"] == 1
    assert used["bitmart", rule.key.split(":")[1]]["max_requests"] == rule.max_requests
    (ban,) = state["bans"]
    assert ban["exchange"] == "binance"
    assert now_ms < ban["until_ms"] <= now_ms + LONG_MS
    lanes = {lane["account"]: lane for lane in state["lanes"]}
    assert lanes["ev"]["paused_until_ms"] == now_ms + LONG_MS
    assert lanes["bm"]["refused"] == "API key"
    told = "\n".join(state["problems"])
    assert "binance refuses all requests of" in told
    assert "everstrike asked for a pause of ev: 1 job waits until" in told
    assert "bitmart refuses the API key of bm" in told

    own = eventually(lambda: settled("bm"), within_ms=60_000)
    assert {it["exchange"] for it in own["limits"]} == {"bitmart"}
    assert own["bans"] == []
    assert "everstrike" not in "\n".join(own["problems"])
