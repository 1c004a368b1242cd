"""The text of an error, with what to do about it: for the command line and HTTP."""

from __future__ import annotations

from worker.errors import (
    CancelWorkerError,
    SwitchClearing,
    SwitchDisarmed,
    SwitchError,
    SwitchReplaced,
    SwitchTripped,
)


def explained(error: CancelWorkerError) -> str:
    """Return one line that says what is wrong and how to fix it."""
    match error:
        case SwitchClearing():
            return f"{error}; --clear-wait-ms waits for it"
        case SwitchTripped():
            return f"{error}; `cancel-worker jobs --switch ID` shows its cancels; then arm it again"
        case SwitchReplaced():
            return f"{error}; to take it back, arm the same scope"
        case SwitchDisarmed():
            return f"{error}; to set a deadline again, arm the same scope"
        case SwitchError():
            return f"{error}; `cancel-worker switches` lists the switches"
        case _:
            return str(error)
