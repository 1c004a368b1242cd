"""What `check` found, one finding a line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from worker.cli.errors import FAILED, MISUSED


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `check`.

    Attributes:
        subject: What was looked at.
        detail: How it is. Never a secret.
        mend: What to do about it; empty if all is well.
        setting: Whether it is a mistake in the settings, which decides the
            exit code.
    """

    level: Level
    subject: str
    detail: str
    mend: str = ""
    setting: bool = False

    def describe(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return asdict(self)


def ok(subject: str, detail: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, subject, detail)


def warn(subject: str, detail: str, mend: str) -> Finding:
    """Return a finding that may do harm."""
    return Finding(Level.WARN, subject, detail, mend)


def fail(subject: str, detail: str, mend: str) -> Finding:
    """Return a finding that breaks a promise."""
    return Finding(Level.FAIL, subject, detail, mend)


def misset(subject: str, detail: str) -> Finding:
    """Return a mistake in the settings; its text holds the mend."""
    return Finding(Level.FAIL, subject, detail, setting=True)


def exit_code(findings: list[Finding]) -> int:
    """Return the exit code that findings ask for."""
    failed = [finding for finding in findings if finding.level is Level.FAIL]
    if any(finding.setting for finding in failed):
        return MISUSED
    return FAILED if failed else 0
