"""`check`: whether settings, secrets, Redis and clocks are fit for work."""

from __future__ import annotations

import typer

from worker.cli import output, parts
from worker.cli.check.findings import Finding, exit_code, misset
from worker.cli.errors import MISUSED
from worker.cli.options import JsonOption
from worker.errors import SettingsError


def check(as_json: JsonOption = False) -> None:
    """Check settings, secrets, Redis and clocks; say how to mend what is wrong.

    Never shows a secret, and asks no exchange anything.
    """
    from worker.cli.check.redis import look_at_redis  # noqa: PLC0415  slow
    from worker.cli.check.settings import look_at_settings  # noqa: PLC0415  slow

    try:
        settings = parts.open_settings()
        findings = [*look_at_settings(settings), *look_at_redis(settings)]
    except SettingsError as error:
        if as_json:
            _print([misset("settings", str(error))], as_json=True)
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
        ("", "WHAT", "HOW IT IS", "MEND"),
        [(f.level, f.subject, f.detail, f.mend) for f in findings],
    )
