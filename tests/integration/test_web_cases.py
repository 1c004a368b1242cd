"""Random calls of the HTTP API: every answer is as documented, and none is a server error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.api_cases import Case, Cases
from tests.support.manual_jobs import Hand
from tests.support.web_server import Client, Web, serving
from tests.support.world import KEYS, World
from worker.simulator import Simulator
from worker.store.api_tokens import Rate
from worker.store.embedded import EmbeddedRedis
from worker.web.app import document

EACH = 15
"""Cases of one call; `python -m tests.openapi` makes many more."""
DOCUMENT = document()
CALLS = [
    (method.upper(), path, call)
    for path, calls in DOCUMENT["paths"].items()
    for method, call in calls.items()
    if path != "/v1/events"
]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process without limits."""
    folder = tmp_path_factory.mktemp("web")
    with (
        EmbeddedRedis(folder / "redis") as redis,
        Simulator(seed=7) as sim,
        serving(World(sim, redis.url, folder, aliases=(*KEYS, "bn")), requests_per_s=10**6) as made,
    ):
        made.server.parts.wrong = Rate(per_s=10**6, burst=10**6)
        yield made


def test_every_answer_is_as_documented(web: Web) -> None:
    """Of nearly valid calls, with right and wrong ids, and of bodies that are no JSON."""
    client, hand = web.client(), Hand(web.world)
    switch = web.world.producer().arm("ev", order_ids=["kept"], timeout_ms=3_600_000)
    ids = [switch.id, hand.pending("p1"), hand.done("d1"), hand.dead("l1")]
    codes = set()
    for number, (method, path, call) in enumerate(CALLS):
        cases = Cases(DOCUMENT, seed=number)
        for _ in range(EACH):
            case = cases.case(method, path, call, ids)
            codes.add(check(client, case, call["responses"]))
    assert codes >= {200, 202, 204, 400, 401, 404}


def check(client: Client, case: Case, documented: Mapping[str, Any]) -> int:
    """Make a call; return its status once the answer is known to be as documented."""
    raw = case.body if isinstance(case.body, bytes) else None
    content = {"Content-Type": "application/json"} if raw is not None else {}
    reply = client.session.request(
        case.method,
        client.url + case.path,
        params=case.query,
        data=raw,
        json=None if raw is not None else case.body,
        headers={**case.headers, **content},
        timeout=60,
    )
    status = reply.status_code
    assert str(status) in documented, f"{case}: {status} {reply.text}"
    assert status < 500, f"{case}: {reply.text}"
    assert "X-Injected" not in reply.headers
    if status == 204:
        assert not reply.content
        return status
    content_type = reply.headers["Content-Type"].partition(";")[0]
    schema = documented[str(status)]["content"][content_type]["schema"]
    whole = {**schema, "components": DOCUMENT["components"]}
    found = json.loads(reply.content)
    errors = [error.message for error in Draft202012Validator(whole).iter_errors(found)]
    assert not errors, f"{case}: {errors}"
    return status
