"""`check`: report problems and how to fix them."""

from __future__ import annotations

import sys

import typer

from worker.cli import output, resources
from worker.cli.check.findings import Finding, exit_code, wrong_setting
from worker.cli.errors import MISUSED
from worker.cli.options import JsonOption
from worker.errors import SettingsError


def check(as_json: JsonOption = False) -> None:
    """Check settings, secrets, Redis, workers and clocks.

    Reports problems and how to fix them. Never shows a secret, and sends nothing to an exchange.
    """
    from worker.cli.check.redis import check_redis  # noqa: PLC0415  slow
    from worker.cli.check.settings import check_settings  # noqa: PLC0415  slow

    try:
        settings = resources.open_settings()
        findings = [*check_settings(settings), *check_redis(settings)]
    except SettingsError as error:
        if as_json:
            print_findings([wrong_setting("settings", str(error))], as_json=True)
            output.note(str(error))
            raise typer.Exit(MISUSED) from None
        raise
    print_findings(findings, as_json=as_json)
    if code := exit_code(findings):
        raise typer.Exit(code)


def print_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Print what was found: a table, or JSON."""
    if as_json:
        described = [finding.describe() for finding in findings]
        output.document({"ok": exit_code(findings) == 0, "findings": described})
        return
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  slow

        rows = [[f.level, output.shown(f.subject), _state(f)] for f in findings]
        Console(highlight=False).print(output.grid(("", "SUBJECT", "STATE"), rows))
        return
    output.table(
        ("", "SUBJECT", "STATE", "FIX"),
        [(f.level, f.subject, f.detail, f.fix) for f in findings],
    )


def _state(finding: Finding) -> str:
    """Return state and fix, one below the other, so that both have the width of a terminal."""
    fix = f"\nfix: {output.shown(finding.fix)}" if finding.fix else ""
    return output.shown(finding.detail) + fix
