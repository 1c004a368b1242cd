"""Every call of the HTTP API, with every kind of wrong authority."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.manual_jobs import Hand
from tests.support.web_server import Client, Web, serving
from tests.support.world import World
from worker.model.authority import Verb
from worker.simulator import Simulator
from worker.store.api_tokens import ApiTokens, Rate
from worker.store.embedded import EmbeddedRedis
from worker.store.switches import Switches
from worker.store.trips import Trips
from worker.web.app import document

OPEN = {("POST", "/v1/beat/{secret}"), ("POST", "/v1/hooks/{secret}")}
"""Calls whose address is their authority."""
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/cancels"): {"account": "ev", "order_id": "mine"},
    ("POST", "/v1/cancel-all"): {"account": "ev"},
    ("POST", "/v1/panic"): {"accounts": ["ev"]},
    ("POST", "/v1/switches"): {"account": "ev", "order_ids": ["mine"], "timeout_ms": 60_000},
    ("POST", "/v1/switches/{switch_id}/track"): {"order_ids": ["mine"]},
    ("POST", "/v1/switches/{switch_id}/untrack"): {"order_ids": ["kept"]},
}
FILTERED = {
    "/v1/jobs",
    "/v1/switches",
    "/v1/dead-letters",
    "/v1/status",
    "/v1/audit",
    "/v1/events",
}
"""Lists: with another account's token they are empty."""


@dataclass(frozen=True)
class Call:
    """One call of the document."""

    method: str
    path: str
    verb: str


CALLS = [
    Call(method.upper(), path, call["x-verb"])
    for path, calls in document()["paths"].items()
    for method, call in calls.items()
    if (method.upper(), path) not in OPEN
]


@dataclass
class Scene:
    """A web process, and a switch and a dead letter that no test may change."""

    web: Web
    switch_id: str
    letter: str

    def ask(self, call: Call, client: Client) -> Any:
        """Make a call about them."""
        path = call.path.format(switch_id=self.switch_id, job_id=self.letter)
        with client.call(
            call.method, path, BODIES.get((call.method, call.path)), stream=True
        ) as it:
            body = "" if it.status_code == 200 and path == "/v1/events" else it.text
            return it.status_code, body

    def state(self) -> list[Any]:
        """Return what a call could change."""
        store = self.web.world.store()
        names: Any = store.client.keys("cx:*")
        known = [
            (name, store.client.type(name))
            for name in sorted(names)
            if not str(name).startswith(("cx:web:audit", "cx:web:calls:"))
        ]
        trips = store.client.zcard("cx:trips")
        return [*known, trips, store.client.hgetall(f"cx:switch:{self.switch_id}")]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything that there is to touch."""
    folder = tmp_path_factory.mktemp("web")
    with (
        EmbeddedRedis(folder / "redis") as redis,
        Simulator(seed=7) as sim,
        serving(World(sim, redis.url, folder)) as web,
    ):
        letter = Hand(web.world).dead("secret-order")
        web.server.parts.wrong = Rate(per_s=1_000, burst=1_000)
        switch = web.world.producer().arm("ev", order_ids=["kept"], timeout_ms=3_600_000)
        record = Switches(web.world.store()).get(switch.id)
        assert record is not None
        Trips(web.world.store()).add(record)
        yield Scene(web, switch.id, letter)


def test_the_document_names_a_verb_for_every_call() -> None:
    """Or the call is one of those whose address is secret."""
    calls = {
        (method.upper(), path): call.get("x-verb")
        for path, found in document()["paths"].items()
        for method, call in found.items()
    }
    assert {name for name, verb in calls.items() if verb is None} == OPEN
    assert {verb for verb in calls.values() if verb} == {*Verb}
    assert {verb for (method, _), verb in calls.items() if method == "GET"} == {"read"}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_a_call_without_authority_does_and_shows_nothing(scene: Scene, call: Call) -> None:
    """No token, a wrong one, every verb but its own, another account's."""
    others = [verb for verb in Verb if verb != call.verb]
    clients = {
        "none": (Client(scene.web.url), 401),
        "wrong": (Client(scene.web.url, scene.web.token() + "x"), 401),
        "verb": (scene.web.client(*others), 403),
        "account": (
            scene.web.client(accounts=("ix",)),
            200 if call.method == "GET" and call.path in FILTERED else 403,
        ),
    }
    before = scene.state()
    for kind, (client, expected) in clients.items():
        status, body = scene.ask(call, client)
        assert status == expected, f"{kind}: {status} {body}"
        for word in ("secret-order", scene.switch_id, scene.letter, "kept"):
            assert word not in body, kind
    assert scene.state() == before


@pytest.mark.parametrize("path", ["/v1/beat/{}", "/v1/hooks/{}"])
def test_a_wrong_address_does_and_shows_nothing(scene: Scene, path: str) -> None:
    """A token, or a switch's id, is no address."""
    before = scene.state()
    for secret in (scene.switch_id, "x", "cwb_" + "A" * 43, "cwh_" + "A" * 43):
        Client(scene.web.url).post(path.format(secret), status=401)
    assert scene.state() == before


def test_a_revoked_token_is_refused_from_the_next_call_on(scene: Scene) -> None:
    """An open stream ends within 15 s; see `test_a_stream_ends_with_its_token`."""
    client = scene.web.client(Verb.READ)
    client.get("/v1/status")
    order = {"account": "ev", "order_id": "revoked"}
    canceling = scene.web.client(Verb.CANCEL)
    for _ in range(2):  # the second is by a token that is known
        canceling.post("/v1/cancels", order, status=202)
    tokens = ApiTokens(scene.web.world.store())
    assert tokens.revoke(f"t{scene.web.made}")
    assert tokens.revoke(f"t{scene.web.made - 1}")
    client.get("/v1/status", status=401)
    before = scene.state()
    canceling.post("/v1/cancels", {**order, "order_id": "after"}, status=401)
    assert scene.state() == before
