"""What a system runs on: a Redis of its own, the common exchange, settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from redis import Redis

from tests.benchmarks.exchange import Exchange
from tests.benchmarks.signing import API_KEY, SECRET
from tests.benchmarks.system import Bench
from worker.store.embedded import EmbeddedRedis

ACCOUNTS = 100
"""`ev`, `ev1` to `ev99`, on the same exchange."""


@contextlib.contextmanager
def bench_of(
    folder: Path, exchange: Exchange, accounts: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[Bench]:
    """Start an empty Redis and write our settings; it ends with the block.

    Its AOF is synced once a second, for every system alike: what a worker's
    death costs does not depend on it, and at `always` the disk's pace would
    be most of what is measured.
    """
    folder.mkdir(parents=True)
    with EmbeddedRedis(folder / "redis") as redis:
        with contextlib.closing(Redis.from_url(redis.url)) as client:
            client.config_set("appendfsync", "everysec")
        bench = Bench(redis.url, exchange.url, folder)
        write_settings(bench, accounts or {})
        yield bench


def write_settings(bench: Bench, accounts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `worker.toml`: our accounts on the exchange, and others."""
    everstrike = {
        "exchange": "everstrike",
        "base_url": bench.exchange_url,
        "api_secret": SECRET,
    }
    lines = [f'redis_url = "{bench.redis_url}"']
    # An account is its key: one key has one alias.
    tables = {
        f"ev{n or ''}": {**everstrike, "api_key": f"{API_KEY}{n or ''}"} for n in range(ACCOUNTS)
    }
    for alias, table in {**tables, **accounts}.items():
        lines += [f"[accounts.{alias}]"]
        lines += [
            f"{name} = {value}" if name == "limits" else f'{name} = "{value}"'
            for name, value in table.items()
        ]
    path = bench.folder / "worker.toml"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
