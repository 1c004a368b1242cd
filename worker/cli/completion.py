"""Shell completion: quick, and without errors."""

from __future__ import annotations

import os

import typer

from worker.cli.output import scope
from worker.cli.resources import open_client_settings
from worker.errors import CancelWorkerError
from worker.model.text import one_line

TIMEOUT_MS = 300
SWITCHES_MAX = 50


def account_aliases(context: typer.Context, incomplete: str) -> list[str]:
    """Return the account aliases that start with the typed text."""
    _use_config(context)
    try:
        aliases = open_client_settings().accounts
    except CancelWorkerError:
        return []
    return sorted(alias for alias in aliases if alias.startswith(incomplete))


def switch_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the live switches that start with the typed text: id, and account with scope."""
    from worker.store.connection import Store, connect  # noqa: PLC0415  slow
    from worker.store.switches import Switches  # noqa: PLC0415  slow

    _use_config(context)
    try:
        settings = open_client_settings()
        client = connect(settings.redis_address, timeout_ms=TIMEOUT_MS)
        known = Switches(Store(client, prefix=settings.key_prefix)).live(limit=SWITCHES_MAX)
    except CancelWorkerError:
        return []
    return [
        (record.id, one_line(f"{record.account} {scope(record)}"))
        for record in known
        if record.id.startswith(incomplete)
    ]


def sides(incomplete: str) -> list[str]:
    """Return the sides that start with the typed text."""
    return [side for side in ("buy", "sell") if side.startswith(incomplete)]


def _use_config(context: typer.Context) -> None:
    config = context.find_root().params.get("config")
    if config:
        os.environ["WORKER_CONFIG"] = str(config)
