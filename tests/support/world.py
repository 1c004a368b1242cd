"""Exchanges, Redis, settings and a producer, as a test needs them together."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.processes import WorkerProcess
from worker import Producer
from worker.config.settings import Settings
from worker.exchanges import EXCHANGES
from worker.simulator import TRADED, Simulator
from worker.store.connection import Store
from worker.store.embedded import EmbeddedRedis
from worker.store.ledger import Ledger
from worker.store.opening import build_store

KEYS = {
    "ev": ("everstrike", "ev-key-0123456789", "ev-secret-0123456789", ""),
    "ix": ("indodax", "ix-key-0123456789", "ix-secret-0123456789", ""),
    "it": ("indodax", "it-key-0123456789", "it-secret-0123456789", ""),
    "bm": ("bitmart", "bm-key-0123456789", "bm-secret-0123456789", "bm-memo-0123456789"),
}
MORE_KEYS = {
    "bn": ("binance", "bn-key-0123456789", "bn-secret-0123456789", ""),
    "bu": ("binanceusdm", "bu-key-0123456789", "bu-secret-0123456789", ""),
    "bc": ("binancecoinm", "bc-key-0123456789", "bc-secret-0123456789", ""),
    "i2": ("indodax_v2", "ix-key-0123456789", "ix-secret-0123456789", ""),
    "kr": ("kraken", "kr-key-0123456789", "a3Itc2VjcmV0LTAxMjM0NTY3ODk=", ""),
    "hl": ("hyperliquid", "0x" + "a1" * 20, "0x" + "17" * 32, ""),
    "ok": ("okx", "ok-key-0123456789", "ok-secret-0123456789", "ok-passphrase-0123456789"),
    "ga": ("gate", "ga-key-0123456789", "ga-secret-0123456789", ""),
    "gf": ("gate_futures", "gf-key-0123456789", "gf-secret-0123456789", ""),
    "ku": ("kucoin", "ku-key-0123456789", "ku-secret-0123456789", "ku-passphrase-0123456789"),
    "bb": ("bybit", "bb-key-0123456789", "bb-secret-0123456789", ""),
    "de": ("deribit", "de-key-0123456789", "de-secret-0123456789", ""),
}
"""Of the exchanges that only their own tests use."""
CCXT_KEYS = {
    "bv": ("ccxt:bitvavo", "bv-key-0123456789", "bv-secret-0123456789", ""),
    "wb": ("ccxt:whitebit", "wb-key-0123456789", "wb-secret-0123456789", ""),
    "wo": ("ccxt:woo", "wo-key-0123456789", "wo-secret-0123456789", ""),
    "cp": ("ccxt:coinsph", "cp-key-0123456789", "cp-secret-0123456789", ""),
    "bg": ("ccxt:bitget", "bg-key-0123456789", "bg-secret-0123456789", "bg-passphrase-0123"),
}
"""Of exchanges of ccxt."""
ALL_KEYS = {**KEYS, **MORE_KEYS, **CCXT_KEYS}
PAIRS = {
    "bv": "BTC-EUR",
    "wb": "BTC_USDT",
    "wo": "SPOT_BTC_USDT",
    "bg": "BTCUSDT",
    "cp": "BTCPHP",
    **{alias: TRADED[row[0]][0] for alias, row in MORE_KEYS.items()},
}
"""What is traded where, if it is not `btc_idr`."""
SECRETS = [value for _, *values in KEYS.values() for value in values if value]
AUTH = {"ix": "nonce", "it": "timestamp"}
EGRESS = {"it": "127.0.0.2"}
ROOMY = {"orders": {"max_requests": 1000, "window_ms": 1000}}
"""BitMart's careful default of one request a second would make tests slow."""


@dataclass
class World:
    """One test's exchanges, Redis, settings and processes."""

    sim: Simulator
    redis_url: str
    folder: Path
    top: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"bm": ROOMY})
    categories: Mapping[str, str] = field(default_factory=dict)
    """The markets of accounts that need one, if not the exchange's first."""
    bulk: Collection[str] = ()
    """Aliases of accounts that have several orders canceled in one request."""
    aliases: Collection[str] = tuple(KEYS)
    """The accounts in the settings."""
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        for exchange, key, secret, memo in ALL_KEYS.values():
            self.sim.add_key(exchange, key, secret, memo)

    def account(self, alias: str) -> dict[str, Any]:
        """Return the settings of an account."""
        exchange, key, secret, memo = ALL_KEYS[alias]
        its = EXCHANGES[exchange].capabilities
        table: dict[str, Any] = {
            "exchange": exchange,
            "base_url": self.sim.url(exchange),
            "api_key": key,
            "api_secret": secret,
        }
        if memo:
            # What an exchange of ccxt needs is in its profile.
            has_phrase = its.needs_passphrase or exchange.startswith("ccxt:")
            table["passphrase" if has_phrase else "memo"] = memo
        if alias == "i2" and "ix" in self.aliases:
            table["timers"] = "ix"
        if its.categories:
            table["category"] = self.categories.get(alias, its.categories[0])
        if alias in AUTH:
            table["auth"] = AUTH[alias]
        if alias in EGRESS:
            table["egress_ip"] = EGRESS[alias]
        if alias in self.limits:
            table["limits"] = self.limits[alias]
        if its.unproven:
            table["unproven"] = True
        if alias in self.bulk:
            table["bulk"] = True
        return table

    def settings(self, **tables: Any) -> Settings:
        """Return the settings, as an object."""
        values: dict[str, Any] = {
            "redis_url": self.redis_url,
            "accounts": {alias: self.account(alias) for alias in self.aliases},
            **self.top,
            **self.tables,
            **tables,
        }
        return Settings(**values)

    def config(self, **tables: Any) -> Path:
        """Write the settings as a file; return its path."""
        lines = [f'redis_url = "{self.redis_url}"']
        lines += [f"{key} = {_toml(value)}" for key, value in self.top.items()]
        for name, table in {**self.tables, **tables}.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        for alias in self.aliases:
            table = self.account(alias)
            lines += [f"[accounts.{alias}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
        path = self.folder / "worker.toml"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)
        return path

    def worker(self, *, wait: bool = True, options: tuple[str, ...] = ()) -> WorkerProcess:
        """Start a worker process."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = WorkerProcess(self.config(), log, options=options)
        self.workers.append(worker)
        return worker.start(wait=wait)

    def beat(self) -> WorkerProcess:
        """Start Celery beat; it is not waited for."""
        log = self.folder / f"beat-{len(self.workers)}.log"
        beat = WorkerProcess(self.config(), log, command="beat")
        self.workers.append(beat)
        return beat.start(wait=False)

    def producer(self) -> Producer:
        """Return a producer on these settings."""
        return Producer(self.settings())

    def store(self) -> Store:
        """Return the Redis of these settings."""
        return build_store(self.settings())

    def ledger(self) -> Ledger:
        """Return the ledger."""
        return Ledger(self.store())

    def place(self, alias: str, count: int = 1, **options: Any) -> list[str]:
        """Place orders on an account; return their ids."""
        exchange, key, _, _ = ALL_KEYS[alias]
        options = {"pair": PAIRS[alias], **options} if alias in PAIRS else options
        return self.sim.place(exchange, key, count=count, **options)

    def status(self, alias: str, order_id: str) -> str:
        """Return the state of an order: open, canceled or filled."""
        return str(self.sim.order(ALL_KEYS[alias][0], order_id).status)

    def close(self) -> None:
        """Stop the workers."""
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.stop()


@contextmanager
def open_world() -> Iterator[World]:
    """A world for what is no test, with a Redis of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedRedis(Path(folder) / "redis") as redis,
        Simulator(seed=7) as sim,
        closing(World(sim, redis.url, Path(folder))) as world,
    ):
        yield world


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'
