"""Ask before what cannot be undone."""

from __future__ import annotations

import sys

import typer

from worker.cli.errors import MISUSED, CliError


def confirm(what: str, *, yes: bool) -> None:
    """Return if the user confirms: by `--yes`, or by `y` on a terminal.

    Raises:
        CliError: Not confirmed. Nothing was done.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError(f"this would {what}; add --yes to do it", code=MISUSED)
    if not typer.confirm(f"{what[0].upper()}{what[1:]}?", err=True):
        raise CliError("not confirmed; nothing was done", code=MISUSED)
