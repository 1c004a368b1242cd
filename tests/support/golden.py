"""Signed requests of an independent implementation, and how ours are held against them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.wire import Request

FOLDER = Path(__file__).parents[1] / "data" / "golden"


@dataclass(frozen=True, slots=True)
class Case:
    """One signed request: what was asked, with which key, and what was sent."""

    command: str
    inputs: dict[str, Any]
    now_ms: int
    key: str
    secret: str
    request: dict[str, Any]
    signed_payload: str
    signature: str

    def ours(self, spelling: Callable[[str], str]) -> Command | None:
        """Return our command for it; None where there is none."""
        symbol = self.inputs.get("symbol")
        pair = spelling(symbol) if symbol else None
        match self.command:
            case "cancel_order":
                return CancelOrder(self.inputs["order_id"], pair=pair)
            case "cancel_by_client_id":
                return CancelOrder(pair=pair, client_order_id=self.inputs["client_order_id"])
            case "query_by_client_id":
                return QueryOrder(pair=pair, client_order_id=self.inputs["client_order_id"])
            case "cancel_algo_order":
                return CancelOrder(self.inputs["algo_id"], pair="BTCUSDT", stop=True)
            case "query_order":
                return QueryOrder(self.inputs["order_id"], pair=pair)
            case "open_orders":
                return ListOpenOrders(pair=pair)
            case "cancel_all":
                return CancelScope(pair=pair)
            case "countdown_set" | "countdown_disarm":
                return SetCountdown((pair,) if pair else (), self.inputs["countdown_ms"])
            case _:
                return None


def cases(venue: str) -> list[Case]:
    """Return the cases of one file."""
    found = json.loads((FOLDER / f"{venue}.json").read_text())["cases"]
    names = Case.__dataclass_fields__
    return [Case(**{name: case[name] for name in names}) for case in found]


def vector(name: str) -> dict[str, str]:
    """Return one signing vector."""
    found: list[dict[str, str]] = json.loads((FOLDER / "vectors.json").read_text())["vectors"]
    return {vector["id"]: vector for vector in found}[name]


def parameters(url: str, body: str) -> dict[str, str]:
    """Return the parameters of a request, of query and form."""
    return dict(parse_qsl(urlsplit(url).query) + parse_qsl(body))


def place(request: Request) -> tuple[str, str]:
    """Return where a request goes: its method, and its address without the query."""
    return request.method, request.url.partition("?")[0]
