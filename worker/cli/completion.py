"""What the shell offers when Tab is pressed. Never an error, never Redis."""

from __future__ import annotations

import os

import typer

from worker.cli.parts import open_settings
from worker.errors import CancelWorkerError


def account_aliases(context: typer.Context, incomplete: str) -> list[str]:
    """Return the account aliases of the settings that begin as typed."""
    config = context.find_root().params.get("config")
    if config:
        os.environ["WORKER_CONFIG"] = str(config)
    try:
        aliases = open_settings().accounts
    except CancelWorkerError:
        return []
    return sorted(alias for alias in aliases if alias.startswith(incomplete))


def sides(incomplete: str) -> list[str]:
    """Return the sides that begin as typed."""
    return [side for side in ("buy", "sell") if side.startswith(incomplete)]
