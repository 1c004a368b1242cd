"""Findings of `check`, one a line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from worker.cli.errors import FAILED, MISUSED


class Level(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `check`.

    Attributes:
        subject: What was checked.
        detail: Its state. Never a secret.
        fix: How to fix it; empty for `ok`.
        setting: Whether a setting is wrong, which makes the exit code 2.
    """

    level: Level
    subject: str
    detail: str
    fix: str = ""
    setting: bool = False

    def describe(self) -> dict[str, object]:
        """Return the finding as JSON.

        `mend` is a deprecated copy of `fix`, for one release.
        """
        return asdict(self) | {"mend": self.fix}


def ok(subject: str, detail: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(Level.OK, subject, detail)


def warn(subject: str, detail: str, fix: str) -> Finding:
    """Return a finding that may cause harm."""
    return Finding(Level.WARN, subject, detail, fix)


def fail(subject: str, detail: str, fix: str) -> Finding:
    """Return a finding that breaks a promise."""
    return Finding(Level.FAIL, subject, detail, fix)


def wrong_setting(subject: str, detail: str) -> Finding:
    """Return a finding of a wrong setting; its text contains the fix."""
    return Finding(Level.FAIL, subject, detail, setting=True)


def exit_code(findings: list[Finding]) -> int:
    """Return the exit code for these findings."""
    failed = [finding for finding in findings if finding.level is Level.FAIL]
    if any(finding.setting for finding in failed):
        return MISUSED
    return FAILED if failed else 0
