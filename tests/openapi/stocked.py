"""The document as schemathesis is given it, and the things that its calls may name.

Random ids name nothing, and a call that names nothing is refused at once. So every id,
secret and account of the document may also be one that exists.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.manual_jobs import Hand
from tests.support.web_server import Web
from worker.model.authority import HookScope
from worker.store.api_tokens import ApiTokens
from worker.store.switches import Switches
from worker.store.trips import Trips
from worker.web.app import document

SPENT = 200
"""Things for a call that ends what it names."""
KEPT = 20
LONG_MS = 3_600_000
Calls = dict[tuple[str, str], list[str]]


def stocked(web: Web, *, patience_s: int) -> dict[str, Any]:
    """Make things in the Redis of a web process; return the document that names them.

    Args:
        web: The process; its Redis is empty.
        patience_s: How long an answer may take.
    """
    made = document()
    del made["paths"]["/v1/events"]
    known = _things(web, patience_s)
    accounts = [*web.world.aliases]
    for path, calls in made["paths"].items():
        for method, call in calls.items():
            for each in call.get("parameters", ()):
                if each["in"] == "path":
                    each["schema"] = _either(each["schema"], known[method.upper(), path])
                elif each["name"] == "account":
                    each["schema"] = _either(each["schema"], accounts)
    for schema in made["components"]["schemas"].values():
        fields = schema.get("properties", {})
        if schema.get("additionalProperties") is False and "account" in fields:
            fields["account"] = _either(fields["account"], accounts)
    return made


def _either(schema: dict[str, Any], known: list[str]) -> dict[str, Any]:
    return {"anyOf": [{"type": "string", "enum": known}, schema]}


def _things(web: Web, patience_s: int) -> Calls:
    """Make switches, jobs, dead letters, holds and addresses; return them by call."""
    client, hand = web.client(), Hand(web.world)
    client.timeout_s = patience_s
    letters = [hand.dead(f"dead-{n}") for n in range(2 * SPENT)]
    jobs = [hand.pending("pending"), hand.done("done"), hand.dead("dead")]

    def switches(kind: str, count: int) -> list[dict[str, Any]]:
        return [
            client.post(
                "/v1/switches",
                {"account": "ev", "order_ids": [f"{kind}-{n}"], "timeout_ms": LONG_MS},
                status=201,
            )
            for n in range(count)
        ]

    kept = switches("kept", KEPT)
    ids = [each["id"] for each in kept]
    tripped = [each["id"] for each in switches("tripped", SPENT)]
    store = web.world.store()
    for switch_id in tripped:
        record = Switches(store).get(switch_id)
        assert record is not None
        Trips(store).add(replace(record, tripped_ms=record.deadline_ms))
    hooks = [
        ApiTokens(store).create(f"hook-{n}", now_ms=1, hook=HookScope("ev", f"pair{n}"))
        for n in range(KEPT)
    ]
    holds = [
        client.post(
            "/v1/cancel-all",
            {"account": "ix", "pair": f"p{n}_idr", "hold_ms": LONG_MS},
            status=202,
        )["jobs"][0]["id"]
        for n in range(SPENT)
    ]
    one = "/v1/switches/{switch_id}"
    return {
        ("GET", "/v1/jobs/{job_id}"): jobs,
        ("DELETE", "/v1/holds/{job_id}"): holds,
        ("POST", "/v1/dead-letters/{job_id}/replay"): letters[:SPENT],
        ("DELETE", "/v1/dead-letters/{job_id}"): letters[SPENT:],
        ("GET", one): ids,
        ("DELETE", one): [each["id"] for each in switches("spent", SPENT)],
        ("POST", f"{one}/ack"): tripped,
        ("POST", "/v1/beat/{secret}"): [each["beat_url"].rpartition("/")[2] for each in kept],
        ("POST", "/v1/hooks/{secret}"): [secret for secret in hooks if secret],
        **{("POST", f"{one}/{verb}"): ids for verb in ("beat", "track", "untrack")},
    }
