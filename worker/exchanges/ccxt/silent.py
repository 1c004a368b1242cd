"""An exchange of ccxt without its input and output.

Each call is made twice. On the first pass it signs and stops where it would send. On the
second it is given the reply. Clock and nonce are pinned, nothing is throttled, and what it
would ask beside the one request is named and refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from worker.exchanges.ccxt.loading import exchange_class
from worker.model.wire import Reply

OPTIONS: Final[Mapping[str, object]] = {
    "adjustForTimeDifference": False,
    "warnOnFetchOpenOrdersWithoutSymbol": False,
    "builderFee": False,
    "refSet": True,
}
"""Nothing is asked, and nothing changed of an account, before a request."""
ODD: Final = "ODD-FIELD"
"""Stands for what a pair alone does not say of its market. No request may hold it."""


MARKETS_MAX: Final = 256
"""Pairs of an account whose markets are kept ready."""


class Ended(BaseException):
    """A pass has ended. Not an `Exception`, so that no handler of ccxt keeps it."""


class Signed(Ended):
    """The first pass has reached its request."""

    def __init__(self, endpoint: str, request: Mapping[str, Any]) -> None:
        super().__init__(endpoint)
        self.endpoint = endpoint
        self.request = request


class Wants(Ended):
    """ccxt wants another request than the one that was meant, or a second one."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.endpoint = endpoint


class Refused(Ended):
    """The status is not that of a success, and ccxt knows no error by the reply."""


@dataclass(slots=True)
class Pass:
    """One call of ccxt.

    Attributes:
        now_ms: What its clock shows, in Unix ms.
        nonce: The nonce of its request; None for the clock's.
        reply: The reply and its JSON on the second pass; None on the first.
        parses: Whether ccxt turns orders into its own form. Its errors need none of that.
        asked: Endpoints that it has asked.
    """

    now_ms: int = 0
    nonce: int | None = None
    reply: tuple[Reply, object] | None = None
    parses: bool = True
    asked: list[str] = field(default_factory=list)


class Silent:
    """Goes before ccxt's class of an exchange, and takes the place of what does anything."""

    run: Pass
    markets: dict[str, Any]
    headers: dict[str, str]

    def request(  # noqa: D102
        self,
        path: str,
        api: Any = "public",  # noqa: ANN401
        method: str = "GET",
        params: Any = None,  # noqa: ANN401
        config: Any = None,  # noqa: ANN401, ARG002
    ) -> object:
        endpoint = f"{method} {path}"
        run = self.run
        if run.reply is None:
            signed = self.sign(path, api, method, params or {})  # type: ignore[attr-defined]
            headers = {**self.headers, **(signed.get("headers") or {})}
            raise Signed(endpoint, {**signed, "headers": headers})
        if run.asked:
            raise Wants(endpoint)
        run.asked.append(endpoint)
        reply, body = run.reply
        text = reply.body.decode(errors="replace")
        self.handle_errors(  # type: ignore[attr-defined]
            reply.status, "", path, method, dict(reply.headers), text, body, {}, None
        )
        if not 200 <= reply.status <= 299:  # noqa: PLR2004  HTTP success
            raise Refused
        return body

    def parse_order(self, order: Any, market: Any = None) -> object:  # noqa: ANN401, D102
        if not self.run.parses:
            return {}
        return super().parse_order(order, market)  # type: ignore[misc]

    def parse_orders(self, orders: Any, *rest: Any, **more: Any) -> object:  # noqa: ANN401, D102
        if not self.run.parses:
            return [{} for _ in orders] if isinstance(orders, list | dict) else []
        return super().parse_orders(orders, *rest, **more)  # type: ignore[misc]

    def fetch2(self, path: str, api: Any = "public", method: str = "GET", *rest: Any) -> object:  # noqa: ANN401, D102
        return self.request(path, api, method, *rest[:1])

    def fetch(self, url: str, *_: object, **__: object) -> object:  # noqa: D102
        raise Wants(url)

    def throttle(self, cost: object = None) -> None:  # noqa: D102
        pass

    def sleep(self, milliseconds: object) -> None:  # noqa: ARG002, D102
        raise Wants("a wait")

    def load_markets(self, *_: object, **__: object) -> object:  # noqa: D102
        return self.markets

    def milliseconds(self) -> int:  # noqa: D102
        return self.run.now_ms

    def seconds(self) -> int:  # noqa: D102
        return self.run.now_ms // 1_000

    def microseconds(self) -> int:  # noqa: D102
        return self.run.now_ms * 1_000

    def check_required_credentials(self, *_: object) -> bool:  # noqa: D102
        return True

    def safe_market(
        self,
        marketId: str | None = None,  # noqa: N803  ccxt's name, given by keyword
        market: Any = None,  # noqa: ANN401
        delimiter: str | None = None,  # noqa: ARG002
        marketType: str | None = None,  # noqa: ARG002, N803
    ) -> object:
        """Name a row's market as the row does, and by nothing else."""
        if market is not None and marketId == market["id"]:
            return market
        return self.safe_market_structure(  # type: ignore[attr-defined]
            {"id": marketId, "symbol": marketId, "info": {}}
        )

    def __del__(self) -> None:
        """Close nothing: there is no session."""


@dataclass(frozen=True, slots=True)
class Template:
    """An exchange with its credentials, of which each call gets a copy.

    What a call changes of an instance, such as what it believes of an error after a
    success, changes no other call. Safe to use from many threads.
    """

    instance: Any
    kind: str
    _markets: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        exchange_id: str,
        credentials: Mapping[str, str],
        *,
        kind: str,
        options: Mapping[str, object],
    ) -> Template:
        """Make one.

        Args:
            exchange_id: As ccxt names it.
            credentials: By ccxt's names.
            kind: The type of its markets: `spot` or `swap`.
            options: ccxt's, beside `OPTIONS`.

        Raises:
            ExtraMissing: ccxt is not installed, or in another version.
        """
        base = exchange_class(exchange_id)
        made = type(exchange_id, (Silent, base), {})(
            {
                "enableRateLimit": False,
                "synchronous": False,
                "options": {"defaultType": kind, **OPTIONS, **options},
                **credentials,
            }
        )
        return cls(made, kind)

    def call(self, run: Pass, pair: str | None) -> Any:  # noqa: ANN401
        """Return an exchange for one call, which knows one market: of this pair."""
        template = self.instance
        made = object.__new__(type(template))
        made.__dict__.update(template.__dict__)
        made.options = dict(template.options)
        made.run = run
        market = dict(self._market(pair)) if pair else None
        made.markets = {pair: market} if pair else {}
        made.markets_by_id = {pair: [market]} if pair else {}
        if run.nonce is not None:
            nonce = run.nonce
            made.nonce = lambda: nonce
        return made

    def _market(self, pair: str) -> dict[str, Any]:
        found = self._markets.get(pair)
        if found is None:
            if len(self._markets) >= MARKETS_MAX:
                self._markets.clear()
            found = self._markets[pair] = self._made(pair)
        return found

    def _made(self, pair: str) -> dict[str, Any]:
        spot = self.kind == "spot"
        made: dict[str, Any] = self.instance.safe_market_structure(
            {
                **dict.fromkeys(("base", "quote", "baseId", "quoteId", "settle", "settleId"), ODD),
                "id": pair,
                "lowercaseId": pair.lower(),
                "symbol": pair,
                "type": self.kind,
                "spot": spot,
                "swap": not spot,
                "contract": not spot,
                "linear": None if spot else True,
                "inverse": None if spot else False,
                "active": True,
                "info": {},
            }
        )
        return made


def body_of(signed: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of a signed request's body; None if they are not all there is."""
    body = signed.get("body")
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else None


def holds(signed: Mapping[str, Any], word: str) -> bool:
    """Return whether a request names a word, in its address, its headers or its body."""
    return word in text_of(signed)


def text_of(signed: Mapping[str, Any]) -> str:
    """Return address, headers and body of a request as one text."""
    return json.dumps([signed.get(key) for key in ("url", "headers", "body")], default=str)
