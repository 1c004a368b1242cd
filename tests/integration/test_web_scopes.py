"""Scopes over HTTP: whose orders they cover, how long they are kept empty, and panic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.web_server import Client, Web, serving
from tests.support.world import KEYS, World
from worker.simulator import Simulator


@pytest.fixture
def web(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[Web]:
    """A web process on an empty Redis, without a worker."""
    with serving(World(sim, redis_url, tmp_path, aliases=(*KEYS, "bn"))) as made:
        yield made


@pytest.fixture
def client(web: Web) -> Client:
    """A client that may do everything."""
    return web.client()


def test_client_ids_their_prefix_and_stop_orders_reach_the_ledger(client: Client) -> None:
    """In a cancel-all, and in a switch that is found again by its name."""
    bounds = {"account": "bn", "client_id_prefix": "grid-", "stops": "keep"}
    (made,) = client.post("/v1/cancel-all", bounds, status=202)["jobs"]
    job = client.get(f"/v1/jobs/{made['id']}")
    assert (job["client_id_prefix"], job["stops"]) == ("grid-", "keep")
    lone = {"client_order_ids": ["lone-1"], "pairs": ["BTCUSDT"]}
    call = {**bounds, **lone, "timeout_ms": 60_000, "name": "grid"}
    path = f"/v1/switches/{client.post('/v1/switches', call, status=201)['id']}"
    more = {"order_ids": ["17"], "client_order_ids": ["lone-2", "lone-3"]}
    assert client.post(f"{path}/track", more, status=200) == {"tracked": 3}
    one = {"client_order_ids": ["lone-2"]}
    assert client.post(f"{path}/untrack", one, status=200) == {"tracked": 1}
    assert "at least one" in client.post(f"{path}/track", {}, status=400)["detail"]
    (found,) = client.get("/v1/switches", name="grid")["switches"]
    assert (found["pairs"], found["order_ids"]) == (["BTCUSDT"], ["17"])
    assert found["client_order_ids"] == ["lone-1", "lone-3"]
    assert (found["client_id_prefix"], found["stops"]) == ("grid-", "keep")
    assert client.get("/v1/switches", name="other")["switches"] == []
    armed, canceled = client.get("/v1/audit")["entries"][:2]
    assert armed["target"] == "grid client ids grid-… BTCUSDT client id lone-1"
    assert canceled["target"] == "client ids grid-…"


def test_a_hold_is_ended_once(client: Client) -> None:
    """By the id of its cancel-all; a job without a hold has none to end."""
    held = {"account": "ev", "hold_ms": 60_000}
    (made,) = client.post("/v1/cancel-all", held, status=202)["jobs"]
    pair = {"account": "ix", "pair": "btc_idr"}
    (plain,) = client.post("/v1/cancel-all", pair, status=202)["jobs"]
    job = client.get(f"/v1/jobs/{made['id']}")
    assert job["hold_until_ms"] == job["created_ms"] + 60_000
    client.delete(f"/v1/holds/{made['id']}")
    job = client.get(f"/v1/jobs/{made['id']}")
    assert job["created_ms"] <= job["hold_until_ms"] < job["created_ms"] + 60_000
    for job_id in (made["id"], plain["id"], "nosuch"):
        told = client.delete(f"/v1/holds/{job_id}", status=404)
        assert told["type"] == "urn:cancel-worker:unknown-hold"
    assert "hold_until_ms" not in client.get(f"/v1/jobs/{plain['id']}")
    assert client.post("/v1/cancel-all", {**held, "hold_ms": 3_600_001}, status=400)


def test_panic_names_the_accounts_that_it_left_out(web: Web, client: Client) -> None:
    """Without a list it needs a token for every account; if it can do nothing it says so."""
    begun = client.post("/v1/panic", status=202)
    assert {job["account"] for job in begun["jobs"]} == {"ev", "ix", "it", "bn"}
    assert [*begun["refused"]] == ["bm"]
    jobs = web.world.ledger().pending(limit=10)
    assert {(job.kind, job.urgent) for job in jobs} == {("cancel_all", True)}
    two = web.client(accounts=("ix", "bm"))
    assert "name accounts" in two.post("/v1/panic", status=403)["detail"]
    both = two.post("/v1/panic", {"accounts": ["ix", "bm"]}, status=202)
    assert [(job["account"], job["fresh"]) for job in both["jobs"]] == [("ix", False)]
    assert "bm: " in two.post("/v1/panic", {"accounts": ["bm"]}, status=400)["detail"]
    client.post("/v1/panic", {"accounts": ["ev", "nosuch"]}, status=404)
    client.post("/v1/panic", {"accounts": []}, status=400)
    targets = [entry["target"] for entry in client.get("/v1/audit")["entries"]]
    assert targets == ["ev nosuch", "bm", "ix bm", "every account", "every account"]
