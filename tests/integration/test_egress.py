"""A limit per address is kept for all that an exchange sees come from one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.world import World
from worker import Producer
from worker.config.accounts import plain_address
from worker.config.settings import Settings
from worker.factory import build_dispatcher, build_sessions
from worker.gateway.egress import at_default_address, default_sources

LIMIT = {"countdown": {"max_requests": 3, "window_ms": 1_500}}


def settings_of(world: World, egress: str | None, **tables: Any) -> Settings:
    """Return one account that sends from an address, and one that says nothing of it."""
    named = {**world.account("ix"), "limits": LIMIT, "egress_ip": egress}
    plain = {**world.account("it"), "limits": LIMIT, "egress_ip": None}
    return world.settings(accounts={"one": named, "two": plain}, **tables)


def test_an_account_at_the_default_address_shares_the_budget_of_those_without(
    world: World,
) -> None:
    """Both send from the same one, whether or not their settings say so."""
    settings = settings_of(world, "127.0.0.1")
    producer = Producer(settings)
    engine = build_dispatcher(settings)
    engine.start()
    try:
        for number in range(4):
            for alias in ("one", "two"):
                timeout_ms = 60_000 + 40_000 * number
                producer.arm(alias, pairs=[f"c{number}_idr"], timeout_ms=timeout_ms)
        eventually(lambda: len(world.sim.timers()) == 8, within_ms=60_000, what="all armed")
    finally:
        engine.stop()
    times = sorted(it.at_ms for it in world.sim.journal() if it.operation == "countdown")
    windows = [sum(1 for at in times if start <= at < start + 1_500) for start in times]
    assert max(windows) <= 3


@pytest.mark.parametrize(
    ("egress", "url", "shares"),
    [
        ("127.0.0.1", "http://127.0.0.1:9/x", True),
        ("127.0.0.2", "http://127.0.0.1:9/x", False),
        ("::1", "http://127.0.0.1:9/x", False),
        ("127.0.0.2", "https://host.invalid/x", True),
    ],
)
def test_the_default_address_is_found_out(
    world: World, egress: str, url: str, *, shares: bool
) -> None:
    """By the route that leads to the exchange; what cannot be found out counts as that one."""
    account = {**world.account("ix"), "egress_ip": egress, "base_url": url}
    lane = at_default_address(build_sessions(world.settings(accounts={"one": account}))["one"])
    owners = {rule.key.split(":", 2)[2] for _, rule in lane.rules if "countdown" in rule.key}
    assert owners == ({egress, "any"} if shares else {egress})


def test_an_address_has_one_form() -> None:
    """However it is written."""
    assert plain_address("::ffff:127.0.0.1") == "127.0.0.1"
    assert plain_address("0:0::1") == "::1"
    assert default_sources("http://127.0.0.1:9") == {"127.0.0.1"}
