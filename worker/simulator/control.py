"""The simulator's own HTTP interface under `/_sim/`. Never faulted, never in the journal."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass

from worker.simulator.wire import Delivery, Reply, Request, json_reply

CONTROL = "/_sim/"
OPERATIONS = frozenset(
    {
        "add_key",
        "expire_tokens",
        "fault_next",
        "fill",
        "fill_race",
        "journal",
        "now_ms",
        "order",
        "orders",
        "place",
        "reset",
        "set_clock_skew",
        "set_faults",
        "set_nonce",
        "set_option",
        "step_clock",
        "timers",
        "url",
    }
)


def answer(simulator: object, request: Request) -> Delivery:
    """Carry out one operation."""
    return Delivery(_reply(simulator, request))


def _reply(simulator: object, request: Request) -> Reply:
    name = request.path.removeprefix(CONTROL)
    if name not in OPERATIONS:
        return _error(404, "LookupError", f"no operation is called {name!r}")
    try:
        params = json.loads(request.body or b"{}")
        result = getattr(simulator, name)(**params)
    except LookupError as error:
        return _error(400, "LookupError", str(error))
    except (TypeError, ValueError) as error:
        return _error(400, "ValueError", str(error))
    return json_reply(200, {"result": _plain(result)})


def _error(status: int, kind: str, text: str) -> Reply:
    return json_reply(status, {"error": text, "kind": kind})


def _plain(result: object) -> object:
    if isinstance(result, list):
        return [_plain(item) for item in result]
    if is_dataclass(result):
        return {field.name: getattr(result, field.name) for field in fields(result)}
    return result
