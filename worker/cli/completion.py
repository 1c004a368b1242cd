"""What the shell offers when Tab is pressed. Never an error, never a long wait."""

from __future__ import annotations

import os

import typer

from worker.cli.output import one_line
from worker.cli.parts import open_settings
from worker.errors import CancelWorkerError

PATIENCE_MS = 300
SWITCHES_MAX = 50


def account_aliases(context: typer.Context, incomplete: str) -> list[str]:
    """Return the account aliases of the settings that begin as typed."""
    _use_config(context)
    try:
        aliases = open_settings().accounts
    except CancelWorkerError:
        return []
    return sorted(alias for alias in aliases if alias.startswith(incomplete))


def switch_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the switches that stand and begin as typed, each with what it is for."""
    from worker.cli.commands.switches import scope  # noqa: PLC0415  imports this by way of its options
    from worker.store.connection import Store, connect  # noqa: PLC0415  slow
    from worker.store.switches import Switches  # noqa: PLC0415  slow

    _use_config(context)
    try:
        settings = open_settings()
        client = connect(settings.redis_address, timeout_ms=PATIENCE_MS)
        known = Switches(Store(client, prefix=settings.key_prefix)).live(limit=SWITCHES_MAX)
    except CancelWorkerError:
        return []
    return [
        (record.id, one_line(f"{record.account} {scope(record)}"))
        for record in known
        if record.id.startswith(incomplete)
    ]


def sides(incomplete: str) -> list[str]:
    """Return the sides that begin as typed."""
    return [side for side in ("buy", "sell") if side.startswith(incomplete)]


def _use_config(context: typer.Context) -> None:
    config = context.find_root().params.get("config")
    if config:
        os.environ["WORKER_CONFIG"] = str(config)
