"""One exchange: its adapter, its simulator, and a trader's key, in this process."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.support.own_faults import named
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Access, Exchange, Stamp
from worker.gateway.pages import read_pages
from worker.gateway.tokens import NoToken, Wait
from worker.model.commands import (
    CancelOrder,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import Answer, Outcome, PairList, TokenGrant, Unproven
from worker.model.pairs import ListedPair
from worker.model.wire import Reply
from worker.simulator import TRADED, Options, Simulator
from worker.simulator.wire import Manner, Request

START_MS = 1_700_000_000_000
ADDRESS = "203.0.113.7"
KEY = "matrix-key-0123456789"
LOST = Unproven(Outcome.UNKNOWN, "no reply")


@dataclass(frozen=True, slots=True)
class Venue:
    """How one exchange is tried.

    Attributes:
        pair: A pair, as it is spelled; empty for the simulator's.
        other: Another.
        never: An order id of its form that was never given out.
        secret: An API secret of its form.
        accepts_all: Every cancel is accepted before it is proven.
        names_by_client: A client order id names one order.
        stamped: Every request carries a timestamp that the exchange checks.
        client_ids: Two client order ids of its form.
        key: An API key of its form.
        stranger: A secret of its form that no account has; empty for the secret with its
            letters in the other case.
        nonce_as_rate: A refused nonce is answered like too many requests.
        unstamped: Why no timestamp is refused, if it is not `stamped`.
        uid: The number of its account, where it needs one.
    """

    pair: str = ""
    other: str = ""
    never: str = "404404"
    secret: str = "matrix-secret-0123456789"
    accepts_all: bool = False
    stamped: bool = False
    client_ids: tuple[str, str] = ("mine1", "mine2")
    names_by_client: bool = True
    key: str = KEY
    stranger: str = ""
    nonce_as_rate: bool = False
    unstamped: str = "no timestamp"
    uid: str = ""


UNKNOWN_REFUSAL = "no document says how"
PLAIN = Venue()
BINANCE = Venue(stamped=True)
GATE = Venue(stamped=True, client_ids=("t-mine1", "t-mine2"))
VENUES: dict[str, Venue] = {
    "binance": BINANCE,
    "binanceusdm": BINANCE,
    "binancecoinm": BINANCE,
    "okx": Venue(accepts_all=True, stamped=True),
    "gate": GATE,
    "gate_futures": GATE,
    "kucoin": Venue(stamped=True),
    "bybit": Venue(accepts_all=True, stamped=True),
    "deribit": Venue(never="BTC-404404", names_by_client=False, stamped=True),
    "hyperliquid": Venue(
        key="0x" + "a1" * 20,
        secret="0x" + "17" * 32,
        stranger="0x" + "18" * 32,
        client_ids=("0x" + "0" * 31 + "1", "0x" + "0" * 31 + "2"),
    ),
    "ccxt:bingx": Venue("BTC-USDT", "ETH-USDT", unstamped=UNKNOWN_REFUSAL),
    "ccxt:bitfinex": Venue("tBTCUSD", "tETHUSD", accepts_all=True),
    "ccxt:bitget": Venue("BTCUSDT", "ETHUSDT", accepts_all=True, stamped=True),
    "ccxt:bitvavo": Venue("BTC-EUR", "ETH-EUR", accepts_all=True, unstamped=UNKNOWN_REFUSAL),
    "ccxt:coinbase": Venue("BTC-USD", "ETH-USD", accepts_all=True, unstamped=UNKNOWN_REFUSAL),
    "ccxt:cryptocom": Venue("BTC_USD", "ETH_USD", accepts_all=True, stamped=True),
    "ccxt:htx": Venue("btcusdt", "ethusdt", accepts_all=True, uid="1", unstamped=UNKNOWN_REFUSAL),
    "ccxt:krakenfutures": Venue("PF_XBTUSD", "PF_ETHUSD", secret="bWF0cml4LXNlY3JldA=="),
    "ccxt:mexc": Venue("BTCUSDT", "ETHUSDT", stamped=True),
    "ccxt:phemex": Venue("sBTCUSDT", "sETHUSDT", accepts_all=True, unstamped=UNKNOWN_REFUSAL),
    "ccxt:whitebit": Venue("BTC_USDT", "ETH_USDT", nonce_as_rate=True),
    "ccxt:woo": Venue(
        "SPOT_BTC_USDT", "SPOT_ETH_USDT", accepts_all=True, unstamped=UNKNOWN_REFUSAL
    ),
    "kraken": Venue(never="OAAAAA-AAAAA-AAAAAA", secret="bWF0cml4LXNlY3JldA=="),
    "indodax_v2": PLAIN,
    "indodax": PLAIN,
    "everstrike": Venue("USD_BTC_PERP", "USD_ETH_PERP"),
    "bitmart": Venue("BTC_USDT", "ETH_USDT"),
}


@dataclass
class Bench:
    """One exchange under test, on a clock that moves only by `sim.step_clock`."""

    name: str
    auth: str = ""
    sim: Simulator = field(init=False)
    nonce: int = field(default=START_MS, init=False)
    token: str | None = field(default=None, init=False)
    _pairs: list[ListedPair] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        options = Options(bitmart_requests_per_s=0, kraken_calls=0)
        self.sim = Simulator(seed=1, options=options, clock=lambda: float(START_MS))
        self.sim.add_key(self.name, self.venue.key, self.venue.secret, "memo")
        self.secret = self.venue.secret

    @property
    def venue(self) -> Venue:
        """How it is tried."""
        return VENUES[self.name]

    @property
    def pair(self) -> str:
        """A pair of it."""
        return self.venue.pair or TRADED[self.name][0]

    @property
    def other(self) -> str:
        """Another pair."""
        return self.venue.other or TRADED[self.name][1]

    @property
    def exchange(self) -> Exchange:
        """Its adapter."""
        return EXCHANGES[self.name]

    def faults(self, *kinds: str) -> tuple[str, ...]:
        """Return the faults that the simulated exchange alone has, of these kinds."""
        return named(self.name, *kinds)

    def has(self, command: type[Command]) -> bool:
        """Return whether it carries out a command."""
        return command in self.exchange.capabilities.commands

    def place(self, count: int = 1, **options: Any) -> list[str]:
        """Place orders, of its pair unless another is named."""
        options = {"pair": self.pair, "side": "buy", **options}
        return self.sim.place(self.name, self.venue.key, count=count, **options)

    def status(self, order_id: str) -> str:
        """Return the status of an order."""
        return str(self.sim.order(self.name, order_id).status)

    def cancel(self, order_id: str) -> Answer | None:
        """Cancel an order."""
        return self.ask(CancelOrder(order_id, pair=self.pair, side="buy"))

    def query(self, order_id: str, *, stop: bool = False) -> Answer | None:
        """Ask about an order."""
        return self.ask(QueryOrder(order_id, pair=self.pair, stop=stop))

    def open_orders(self) -> Answer | None:
        """List the open orders of its pair, all pages; None if a reply was lost."""

        def ask(command: Command) -> Answer:
            return self.ask(command) or LOST

        command = ListOpenOrders(pair=self.pair)
        shift = self.exchange.capabilities.pages_shift
        answer = read_pages(ask, command, until_ms=math.inf, shift=shift)
        assert not isinstance(answer, Wait | NoToken)
        return None if answer is LOST else answer

    def countdown(self, countdown_ms: int) -> Answer | None:
        """Set its timer."""
        timer = self.exchange.capabilities.timer
        assert timer is not None
        pairs = () if timer.reach == "account" else (self.pair,)
        return self.ask(SetCountdown(pairs, countdown_ms))

    def ask(self, command: Command) -> Answer | None:
        """Send a command; return the answer, or None if the reply was lost."""
        if self.exchange.capabilities.needs_token and self.token is None:
            granted = self._send(FetchToken())
            assert isinstance(granted, TokenGrant)
            self.token = granted.token
        return self._send(command)

    def _asset_of(self, command: Command) -> str:
        """Return the asset id of a command's pair, as the exchange lists it."""
        pair, its = getattr(command, "pair", None), self.exchange.capabilities
        if not its.needs_asset or pair is None:
            return ""
        if not self._pairs:
            answers = [self._send(ListPairs(part)) for part in its.pair_lists]
            self._pairs = [
                each for answer in answers if isinstance(answer, PairList) for each in answer.pairs
            ]
        return next(each.asset for each in self._pairs if each.pair == pair)

    def _send(self, command: Command) -> Answer | None:
        asset = self._asset_of(command)
        self.nonce += 1
        now_ms = round(self.sim.now_ms())
        stamp = Stamp(now_ms, nonce=self.nonce, token=self.token, asset=asset)
        url = self.sim.url(self.name)
        access = Access(
            url,
            self.venue.key,
            self.secret,
            "memo",
            self.auth,
            uid=self.venue.uid,
            category=next(iter(self.exchange.capabilities.categories), ""),
        )
        request = self.exchange.sign(command, access, stamp)
        parts = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        arrived = Request(
            request.method,
            parts.path,
            parts.query,
            {"user-agent": "cancel-worker", **headers},
            request.body,
            ADDRESS,
        )
        delivery = self.sim._serve(arrived)  # noqa: SLF001  as its server does
        if delivery.manner in (Manner.NEVER, Manner.HALF):
            return None
        told = {name.lower(): value for name, value in delivery.reply.headers}
        reply = Reply(delivery.reply.status, told, delivery.reply.body, now_ms)
        return self.exchange.classify(command, reply)
