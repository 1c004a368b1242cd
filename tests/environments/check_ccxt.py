"""The guard of ccxt's exchanges, on ccxt itself; run by `ops/environments.py` beside it."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tests.environments.stage import PATIENCE_MS, judge, stage
from tests.support.polling import eventually
from worker import InvalidCommand, Producer, SwitchReplaced
from worker.config.settings import Settings
from worker.integrations.ccxt import Guard, guard

SYMBOL, OTHER = "BTC/USDT", "ETH/USDT"
T_MS = 60_000


class Venue:
    """Answers in place of the exchange, below ccxt's own methods."""

    placed: list[dict[str, Any]]

    def answer(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return Binance's answer to a new order."""
        self.placed.append(params)
        return {
            "symbol": params["symbol"],
            "orderId": 4_711 + len(self.placed),
            "clientOrderId": params.get("newClientOrderId", ""),
            "status": "NEW",
            "side": params["side"],
            "type": params["type"],
        }


class Blocking(Venue, ccxt.binance):  # type: ignore[misc]
    """ccxt's blocking exchange."""

    def private_post_order(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer."""
        return self.answer(params)

    privatePostOrder = private_post_order  # noqa: N815  ccxt's other name


class Awaited(Venue, ccxt.async_support.binance):  # type: ignore[misc]
    """ccxt's asyncio exchange."""

    async def private_post_order(self, params: dict[str, Any]) -> dict[str, Any]:
        """Answer."""
        return self.answer(params)

    privatePostOrder = private_post_order  # noqa: N815  ccxt's other name

    async def load_markets(self, *_: Any, **__: Any) -> Any:
        """Return the markets that it has."""
        return self.markets


def venue(kind: type) -> Any:
    """Return an exchange with two markets, and no network."""
    exchange = kind({"apiKey": "k", "secret": "s", "enableRateLimit": False})
    exchange.placed = []
    exchange.set_markets(
        [
            {
                "id": symbol.replace("/", ""),
                "symbol": symbol,
                "spot": True,
                "type": "spot",
                "base": symbol.split("/")[0],
                "quote": "USDT",
                "active": True,
                "precision": {"amount": 1e-6, "price": 0.01},
                "limits": {each: {} for each in ("amount", "price", "cost", "leverage")},
                **dict.fromkeys(("contract", "swap", "future", "option", "margin"), False),
                **dict.fromkeys(("linear", "inverse"), False),
                "info": {"orderTypes": ["LIMIT", "MARKET"]},
            }
            for symbol in (SYMBOL, OTHER)
        ]
    )
    exchange.options["createMarketBuyOrderRequiresPrice"] = False
    return exchange


@pytest.fixture
def producer(redis_url: str) -> Producer:
    accounts = {"bn": {"exchange": "binance"}}
    return Producer(Settings(redis_url=redis_url, redis_timeout_ms=10_000, accounts=accounts))


def options(producer: Producer, timeout_ms: int = T_MS) -> dict[str, Any]:
    """Return options of a guard."""
    return {"symbols": [SYMBOL], "timeout_ms": timeout_ms, "name": "grid", "producer": producer}


def states(producer: Producer) -> list[tuple[str, tuple[str, ...], str]]:
    """Return state, pairs and name of each switch."""
    return [(str(each.state), each.pairs, each.name) for each in producer.switches()]


def test_orders_of_the_symbols_are_covered_and_a_clean_end_disarms(producer: Producer) -> None:
    """Ccxt's symbols become the exchange's pairs; its order dicts can be canceled."""
    exchange = venue(Blocking)
    plain = exchange.create_order
    with guard(exchange, "bn", **options(producer)) as safe:
        assert states(producer) == [("armed", ("BTCUSDT",), "grid")]
        order = exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
        assert exchange.create_limit_sell_order(SYMBOL, 0.01, 40_000)["id"] == "4713"
        safe.progress()
        ticket = safe.cancel(order)
        job = producer.ticket(ticket.id)
        assert (ticket.order_id, job is not None) == ("4712", True)
    assert states(producer) == [("disarmed", ("BTCUSDT",), "grid")]
    assert exchange.create_order == plain
    assert len(exchange.placed) == 2


@pytest.mark.parametrize("method", ["create_order", "createOrder", "create_limit_buy_order"])
def test_orders_of_other_symbols_are_refused(producer: Producer, method: str) -> None:
    """Nothing is sent that no switch covers."""
    exchange = venue(Blocking)
    words = (OTHER, 0.01, 30_000) if "limit" in method else (OTHER, "limit", "buy", 0.01, 30_000)
    with (
        pytest.raises(InvalidCommand, match="ETH/USDT is not guarded"),
        guard(exchange, "bn", **options(producer)),
    ):
        getattr(exchange, method)(*words)
    assert exchange.placed == []
    assert states(producer)[0][0] == "armed"


def test_no_order_is_placed_after_the_switch_has_ended(producer: Producer) -> None:
    """A restarted strategy has taken over: the former one places nothing."""
    exchange = venue(Blocking)
    safe = guard(exchange, "bn", **options(producer, 1_500)).__enter__()
    second = producer.arm("bn", pairs=["BTCUSDT"], timeout_ms=T_MS, name="grid")
    eventually(lambda: ended(safe))
    with pytest.raises(SwitchReplaced):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
    with pytest.raises(SwitchReplaced):
        safe.__exit__(None, None, None)
    assert exchange.placed == []
    assert second.beat().left_ms > 0


def ended(safe: Guard) -> bool:
    """Return whether the strategy has learned that its switch has ended."""
    try:
        safe.progress()
    except SwitchReplaced:
        return True
    return False


def test_only_orders_of_the_prefix_are_covered_and_each_gets_it(producer: Producer) -> None:
    """Before it is sent; an order that would not be covered is refused."""
    exchange = venue(Blocking)
    with guard(exchange, "bn", client_id_prefix="own-", **options(producer)):
        (record,) = producer.switches()
        assert (record.pairs, record.client_id_prefix) == (("BTCUSDT",), "own-")
        words = (SYMBOL, "limit", "buy", 0.01, 30_000)
        exchange.create_order(*words)
        exchange.create_limit_sell_order(SYMBOL, 0.01, 40_000, {"timeInForce": "GTC"})
        exchange.create_order(*words, {"clientOrderId": "own-7"})
        ids = [order["newClientOrderId"] for order in exchange.placed]
        assert all(re.fullmatch("own-[0-9a-f]{12}", each) for each in ids[:2])
        assert (ids[2], len({*ids})) == ("own-7", 3)
        with pytest.raises(InvalidCommand, match="must begin with own-"):
            exchange.create_order(*words, params={"clientOrderId": "other"})
        with pytest.raises(InvalidCommand, match="cancel it and place another"):
            exchange.edit_order("4712", *words)
    assert len(exchange.placed) == 3
    with pytest.raises(InvalidCommand, match="client_id_prefix is not offered by deribit"):
        guard(ccxt.deribit(), "bn", client_id_prefix="own-", **options(producer))


def test_an_order_whose_placing_timed_out_is_canceled(redis_url: str, tmp_path: Path) -> None:
    """The strategy never learned its id; an order placed by hand stays open."""
    with stage(redis_url, tmp_path, "ccxt_timeout.py") as made:
        made.start(orders=2)
        made.kill()
        eventually(lambda: made.open_client_ids() == ["manual-1"], within_ms=PATIENCE_MS)


def test_asyncio_exchanges_are_guarded_too(producer: Producer) -> None:
    """`async with`, and awaited methods."""

    async def main() -> None:
        exchange = venue(Awaited)
        try:
            async with guard(exchange, "bn", **options(producer)) as safe:
                order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
                safe.progress()
                assert order["id"] == "4712"
                with pytest.raises(InvalidCommand):
                    await exchange.create_order(OTHER, "limit", "buy", 0.01, 30_000)
        finally:
            await exchange.close()

    asyncio.run(main())
    assert states(producer) == [("disarmed", ("BTCUSDT",), "grid")]


def test_the_example_dies_and_stops(redis_url: str, tmp_path: Path) -> None:
    """Killed, its order is off the exchange by the deadline; stopped, its switch is disarmed."""
    judge(redis_url, tmp_path, "ccxt_grid.py", stopped_by=signal.SIGTERM)
