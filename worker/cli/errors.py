"""What is said when a command fails, and the exit code it ends with.

0 done, 1 failed or not proven in time, 2 wrong usage or settings.
"""

from __future__ import annotations

import traceback

import typer

from worker.cli.parts import where
from worker.errors import (
    CancelWorkerError,
    InvalidCommand,
    NotReplicated,
    SettingsError,
    StoreUnavailable,
    SwitchClearing,
    SwitchDisarmed,
    SwitchError,
    SwitchReplaced,
    SwitchTripped,
)

FAILED = 1
MISUSED = 2


class CliError(CancelWorkerError):
    """A command cannot go on; the text says what, where, and the mend."""

    def __init__(self, text: str, *, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def explain(error: Exception) -> tuple[str, int]:
    """Return one line for a person, and the exit code. Never a secret."""
    match error:
        case typer.TyperException():
            return _usage(error), error.exit_code
        case CliError():
            return str(error), error.code
        case SettingsError() | InvalidCommand():
            return str(error), MISUSED
        case NotReplicated():
            return str(error), FAILED
        case StoreUnavailable():
            return (
                f"{error} at {where()}; start it or mend redis_url, and run this again: "
                "that is safe (`cancel-worker check` tells more; `cancel --direct` needs no Redis)"
            ), FAILED
        case SwitchClearing():
            return f"{error}; --clear-wait-ms waits for it", FAILED
        case SwitchError():
            return f"{error}; {_mend(error)}", FAILED
        case CancelWorkerError():
            return str(error), FAILED
        case OSError():
            return f"{error.strerror or type(error).__name__}{_named(error)}", FAILED
        case _:
            # Not its text, which may hold anything.
            return f"internal error: {type(error).__name__} at {_place(error)}", FAILED


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "cancel-worker"
    return f"{error.format_message().rstrip('.')} (see `{command} --help`)"


def _mend(error: SwitchError) -> str:
    match error:
        case SwitchTripped():
            return "see `cancel-worker jobs` for them, and arm anew"
        case SwitchReplaced():
            return "to take it back, arm the same scope"
        case SwitchDisarmed():
            return "to have a deadline again, arm the same scope"
        case _:
            return "`cancel-worker switches` lists those there are"


def _named(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    *_, path = frames[-1].filename.rpartition("site-packages/")
    return f"{path.rpartition('/worker/')[2]}:{frames[-1].lineno}"
