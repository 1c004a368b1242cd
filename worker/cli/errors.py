"""Error messages of commands, and their exit codes.

0 done, 1 failed or not proven in time, 2 wrong usage or settings, 130 interrupted.
"""

from __future__ import annotations

import traceback

import typer

from worker.cli.resources import redis_place
from worker.errors import (
    CancelWorkerError,
    ExtraMissing,
    InvalidCommand,
    NotReplicated,
    SettingsError,
    StoreUnavailable,
)
from worker.extras import extra_of, extra_text
from worker.model.explained import explained

REFUSED, UNKNOWN_HOST = "refused the password", "unknown host"
"""What `StoreUnavailable` says if starting Redis does not help."""
FAILED = 1
MISUSED = 2
INTERRUPTED = 130


class CliError(CancelWorkerError):
    """A command cannot continue; the text names the problem, the place and the fix."""

    def __init__(self, text: str, *, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def explain(error: Exception) -> tuple[str, int]:
    """Return the one-line message of an error, without secrets, and the exit code."""
    if isinstance(error, ImportError) and (extra := extra_of(error)):
        error = ExtraMissing(extra_text("this command", error, extra))
    match error:
        case typer.TyperException():
            return _usage(error), error.exit_code
        case CliError():
            return str(error), error.code
        case SettingsError() | InvalidCommand() | ExtraMissing():
            return str(error), MISUSED
        case NotReplicated():
            return str(error), FAILED
        case StoreUnavailable():
            wrong = REFUSED in str(error) or UNKNOWN_HOST in str(error)
            fix = "correct redis_url" if wrong else "start it or correct redis_url"
            return (
                f"{error} at {redis_place()}; {fix}, then run this again: "
                "that is safe (details: `cancel-worker check`; `cancel --direct` needs no Redis)"
            ), FAILED
        case CancelWorkerError():
            return explained(error), FAILED
        case OSError():
            return f"{error.strerror or type(error).__name__}{_file(error)}", FAILED
        case _:
            # Without its text, which may hold a secret.
            return f"internal error: {type(error).__name__} at {_place(error)}", FAILED


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "cancel-worker"
    return f"{error.format_message().rstrip('.')} (see `{command} --help`)"


def _file(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    *_, path = frames[-1].filename.rpartition("site-packages/")
    return f"{path.rpartition('/worker/')[2]}:{frames[-1].lineno}"
