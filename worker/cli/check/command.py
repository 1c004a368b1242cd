"""`check`: report problems and how to fix them."""

from __future__ import annotations

import typer

from worker.cli import output, resources
from worker.cli.check.findings import Finding, exit_code, wrong_setting
from worker.cli.errors import MISUSED
from worker.cli.options import JsonOption
from worker.errors import SettingsError


def check(as_json: JsonOption = False) -> None:
    """Check settings, secrets, Redis and clocks; report problems and how to fix them.

    Never shows a secret, and sends nothing to an exchange.
    """
    from worker.cli.check.redis import check_redis  # noqa: PLC0415  slow
    from worker.cli.check.settings import check_settings  # noqa: PLC0415  slow

    try:
        settings = resources.open_settings()
        findings = [*check_settings(settings), *check_redis(settings)]
    except SettingsError as error:
        if as_json:
            _print([wrong_setting("settings", str(error))], as_json=True)
            output.note(str(error))
            raise typer.Exit(MISUSED) from None
        raise
    _print(findings, as_json=as_json)
    if code := exit_code(findings):
        raise typer.Exit(code)


def _print(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        described = [finding.describe() for finding in findings]
        output.document({"ok": exit_code(findings) == 0, "findings": described})
        return
    output.table(
        ("", "SUBJECT", "STATE", "FIX"),
        [(f.level, f.subject, f.detail, f.fix) for f in findings],
    )
