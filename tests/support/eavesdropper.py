"""The simulated exchanges, noting what is secret in each request, and echoing it in errors."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from urllib.parse import unquote_plus

from worker.simulator import Simulator
from worker.simulator.venues import MOUNTS
from worker.simulator.wire import Delivery, Request, json_reply

ECHOES = 3
"""Every so many requests to an exchange are answered with all that they carried."""
STATUSES = (200, 404, 500)
OTHER_STATUSES = {"bitmart": (500, 403)}
"""Where another status would cost one of the few tokens of a minute."""
SIGNATURE = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
"""Shortest is the half of a signature on a curve; ids are shorter."""
ORDINARY = {
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "content-type",
    "content-length",
}
TOKEN = "x-bm-authorization"
STEP = 40
"""Of an echo's beginning, so that each part of it is before an adapter's bound in some reply."""


class Eavesdropper(Simulator):
    """Exchanges that note and echo. Its public attributes may be read at any time.

    Attributes:
        signatures: By exchange, what has been sent that looks like a signature.
        tokens: Bearer tokens.
        echoed: By exchange, how many replies were echoes.
        deaf: Every request is answered with an echo.
    """

    def __init__(self) -> None:
        self.signatures: defaultdict[str, set[str]] = defaultdict(set)
        self.tokens: set[str] = set()
        self.echoed: Counter[str] = Counter()
        self.deaf = False
        self._count: Counter[str] = Counter()
        super().__init__(seed=11)

    def _serve(self, request: Request) -> Delivery:
        exchange = _exchange_of(request.path)
        sent = [*_sent(request)]
        if exchange is None or not (found := _signatures(sent)):
            return super()._serve(request)
        if token := request.headers.get(TOKEN, "").removeprefix("Bearer "):
            self.tokens.add(token)
        self.signatures[exchange] |= found - self.tokens
        self._count[exchange] += 1
        asks_token = request.path.endswith("/v2/authentication")
        heard = self._count[exchange] % ECHOES or (asks_token and self.tokens)
        if heard and not self.deaf:
            return super()._serve(request)
        self.echoed[exchange] += 1
        count = self.echoed[exchange]
        turn = OTHER_STATUSES.get(exchange, STATUSES)
        status = turn[count % len(turn)]
        whole = " ".join(sent)
        at = count * STEP % len(whole)
        text = f"refused: {whole[at:]} {whole}"
        return Delivery(json_reply(status, _error(exchange, status, text)))


def _exchange_of(path: str) -> str | None:
    """Return the exchange that a signed request may be for."""
    for exchange, mount in MOUNTS.items():
        if path == mount or path.startswith(f"{mount}/"):
            return None if "/_sim/" in path else exchange
    return None


def _sent(request: Request) -> Iterator[str]:
    """Yield all that a request carries."""
    yield from (value for name, value in request.headers.items() if name not in ORDINARY)
    yield request.query
    yield request.body.decode("latin-1")


def _signatures(sent: list[str]) -> set[str]:
    """Return what looks like a signature in all that a request carries."""
    return {each for text in sent for each in SIGNATURE.findall(unquote_plus(text) + " " + text)}


def _error(exchange: str, status: int, text: str) -> object:
    """Write an error as the exchange writes its own."""
    if exchange == "kraken":
        return {"error": [f"EGeneral:{text}"]}
    if exchange == "deribit":
        return {"jsonrpc": "2.0", "error": {"code": status, "message": text, "data": text}}
    if exchange == "hyperliquid":
        return {"status": "err", "response": text}
    if exchange == "bybit":
        return {"retCode": status, "retMsg": text, "result": {}}
    if exchange.startswith("gate"):
        return {"label": "REFUSED", "message": text}
    return {
        "success": 0,
        "code": status,
        "error": text,
        "error_code": "no",
        "errorCode": status,
        "message": text,
        "msg": text,
    }
