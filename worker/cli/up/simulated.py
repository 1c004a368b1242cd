"""`up --simulator`: simulated exchanges, and settings that use nothing else."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.cli import output
from worker.cli.simulated import SimulatedAccount, aliases, open_accounts, settings_text
from worker.cli.up.children import RedisChild
from worker.cli.up.data_folder import locked, stop_leftover
from worker.config.settings_file import CONFIG_VARIABLE, DEFAULT_FILE
from worker.simulator import Simulator

ORDERS = 3
SIDE = "buy"
REPLACED = ("WORKER_ACCOUNTS", "WORKER_REDIS_URL", "WORKER_SENTRY_DSN")
"""Variables that would mix real settings with simulated ones."""


@contextmanager
def simulated(folder: Path) -> Iterator[RedisChild]:
    """Run the simulated exchanges, and point this process at settings for them.

    Redis is separate, too: a worker on simulated exchanges must never claim a
    real job, since it would prove that the order does not exist.

    Raises:
        CliError: The folder cannot be used.
    """
    with locked(folder), Simulator() as simulator:
        stop_leftover(folder)
        redis = RedisChild(folder, port=None)
        accounts = open_accounts(simulator, aliases())
        path = folder / DEFAULT_FILE
        _write_private(path, settings_text(accounts, redis_url=redis.url))
        for name in [name for name in os.environ if name.upper().startswith(REPLACED)]:
            del os.environ[name]
        os.environ[CONFIG_VARIABLE] = str(path)
        _announce(simulator, accounts, path)
        yield redis


def _announce(simulator: Simulator, accounts: list[SimulatedAccount], path: Path) -> None:
    output.say(f"simulator {simulator.base_url()} (control: POST /_sim/<operation>)")
    output.say(f"settings  {path}")
    output.say(f"export {CONFIG_VARIABLE}={shlex.quote(str(path.resolve()))}")
    placed: list[str] = []
    for account in accounts:
        ids = simulator.place(
            account.exchange, account.api_key, pair=account.pair, side=SIDE, count=ORDERS
        )
        output.say(f"orders    {account.alias}: {' '.join(ids)}")
        placed += ids
    first = accounts[0]
    command = "cancel-worker"
    output.say(f"try       {command} cancel {first.alias} {placed[0]} --pair {first.pair} --wait 5")
    output.say(f"          {command} arm bu --pair BTCUSDT --timeout 30s")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
