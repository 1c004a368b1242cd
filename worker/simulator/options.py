"""What the documents leave open, or a test may turn."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields


@dataclass(slots=True)
class Options:
    """Knobs of the simulated exchanges.

    What no document describes is chosen once from the seed, so that programs
    meet every variant in the long run and the same one in the same run.

    Attributes:
        pair_lists: How public lists of pairs are answered: `listed`, `html` (a page with status
            200), `down`, or `empty`.
        more_pairs: Pairs that are listed beside the usual ones and those of orders.
        delay_ms: How late the fault `delay` makes a reply.
        drip_ms: Pause between two bytes of the fault `drip`.
        everstrike_closed: Status with which a cancel of an unknown or closed
            order is refused: 503, 404 or 400. Not documented; from the seed.
        indodax_no_orders: What `openOrders` holds when there are none: `null`
            (which ccxt's sources record) or `empty`, a list or dict. From the
            seed.
        indodax_pairs: The pairs there are; empty for all that look like one.
        indodax_disabled_pairs: Pairs answered with "Pair … disabled".
        indodax_whitelist: Keys that may use the countdown; None for all.
        indodax_v2_hash: Hash of a signature: `sha256` or `sha512`, as the one or the other
            document says.
        indodax_v2_wrapped: Whether results are wrapped in `data`, and an unknown order is
            code 1112. From the seed.
        binance_symbols: The symbols there are; empty for all that look like one.
        kraken_missing: How a question about an order that was never placed is answered:
            `error` or `empty`, a result without orders. Not documented; from the seed.
        kraken_calls: What the call counter of a key holds, as for the lowest tier;
            0 for no limit.
        kraken_calls_per_s: By how much it falls each second.
        kraken_pair_counter: What an account's counter of a pair holds, which a
            cancel of a young order raises by up to 8; 0 for no limit.
        okx_cancel_ms: How long after it was accepted a cancel takes an order off.
        okx_algo: The kind of a trader's stop orders, as `ordType`.
        okx_lacks: Kinds of algo orders that lists refuse.
        okx_fires_each_ms: From one order to the next once a timer has fired.
        hyperliquid_firings: How often a timer cancels orders on one day (UTC).
        hyperliquid_fires_on_dexs: Whether a timer cancels orders on markets of other exchanges.
            Not documented; from the seed.
        hyperliquid_volume: What each account has traded, in USDC.
        hyperliquid_requests: What an account may request beside one for each USDC traded.
        gate_stopped: What `triggerTime` is once a timer was stopped: `zero` or `now`. Not
            documented; from the seed.
        kucoin_missing: How a question about an order that was never placed is answered:
            `error`, or `null` in the place of the order. Not documented; from the seed.
        kucoin_cancel_ms: How long after a cancel of a scope was accepted orders are taken off.
        kucoin_oco: Stop orders are pairs of orders of which one ends the other.
        kucoin_fires_within_ms: How late at most orders are taken off once a timer has fired:
            "between 0 and 10 seconds"; each time another delay.
        kucoin_paces: One countdown of a user is taken in three seconds.
        bybit_category: The market in which a trader's orders are: `linear`, `inverse`, `spot`.
        bybit_stop: The kind of its stop orders: `Stop`, or on spot `tpslOrder`.
        bybit_cancel_ms: How long after it was accepted a cancel takes an order off.
        bybit_cancels: Cancels of one order in a second, for each user.
        bybit_restarted: Closed orders are found in the order history alone.
        deribit_credits: Whether requests use up credits.
        bitmart_closed: Status with which a cancel of a closed order is
            refused: 404 or 400. Not documented; from the seed.
        bitmart_requests_per_s: Requests per key and second; 0 for no limit.
        bitmart_single_token: A new token ends the key's former ones.
        bitmart_token_s: How long a token lasts, midnight permitting.
    """

    pair_lists: str = "listed"
    more_pairs: tuple[str, ...] = ()
    delay_ms: float = 1_500.0
    drip_ms: float = 50.0
    everstrike_closed: int = 503
    indodax_no_orders: str = "null"
    indodax_pairs: tuple[str, ...] = ()
    indodax_disabled_pairs: tuple[str, ...] = ()
    indodax_whitelist: tuple[str, ...] | None = None
    indodax_v2_hash: str = "sha256"
    indodax_v2_wrapped: bool = False
    binance_symbols: tuple[str, ...] = ()
    kraken_missing: str = "error"
    kraken_calls: int = 15
    kraken_calls_per_s: float = 0.33
    kraken_pair_counter: int = 0
    okx_cancel_ms: int = 20
    okx_algo: str = "conditional"
    okx_lacks: tuple[str, ...] = ()
    okx_fires_each_ms: int = 20
    hyperliquid_firings: int = 10
    hyperliquid_fires_on_dexs: bool = False
    hyperliquid_volume: float = 2_000_000.0
    hyperliquid_requests: int = 10_000
    gate_stopped: str = "zero"
    kucoin_missing: str = "error"
    kucoin_cancel_ms: int = 20
    kucoin_oco: bool = False
    kucoin_fires_within_ms: int = 0
    kucoin_paces: bool = True
    bybit_category: str = "linear"
    bybit_stop: str = "Stop"
    bybit_cancel_ms: int = 20
    bybit_cancels: int = 10
    bybit_restarted: bool = False
    deribit_credits: bool = True
    bitmart_closed: int = 404
    bitmart_requests_per_s: int = 0
    bitmart_single_token: bool = False
    bitmart_token_s: int = 900

    @classmethod
    def seeded(cls, seed: int) -> Options:
        """Choose what is undocumented from `seed`."""
        rng = random.Random(f"options:{seed}")  # noqa: S311
        return cls(
            everstrike_closed=rng.choice((503, 404, 400)),
            indodax_no_orders=rng.choice(("null", "empty")),
            bitmart_closed=rng.choice((404, 400)),
            indodax_v2_wrapped=rng.choice((False, True)),
            kraken_missing=rng.choice(("error", "empty")),
            gate_stopped=rng.choice(("zero", "now")),
            kucoin_missing=rng.choice(("error", "null")),
            hyperliquid_fires_on_dexs=rng.choice((False, True)),
        )

    def set(self, name: str, value: object) -> None:
        """Turn one knob.

        Raises:
            ValueError: There is no such knob.
        """
        if name not in {field.name for field in fields(self)}:
            raise ValueError(f"no option is called {name!r}")
        setattr(self, name, tuple(value) if isinstance(value, list) else value)
