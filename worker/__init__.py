"""A dead man's switch and cancellation service for trading bots."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.client.producer import Producer
    from worker.client.switch import Beat, Switch
    from worker.client.ticket import Result, Ticket
    from worker.errors import (
        CancelWorkerError,
        InvalidCommand,
        NotReplicated,
        SettingsError,
        StoreUnavailable,
        SwitchClearing,
        SwitchDisarmed,
        SwitchError,
        SwitchOverlap,
        SwitchReplaced,
        SwitchTripped,
        SwitchUnknown,
        UnknownAccount,
    )
    from worker.model.jobs import State
    from worker.model.outcomes import Outcome

__version__ = "0.1.0"

_HOMES = {
    "SwitchUnknown": "errors",
    "SwitchTripped": "errors",
    "SwitchReplaced": "errors",
    "SwitchOverlap": "errors",
    "SwitchError": "errors",
    "SwitchDisarmed": "errors",
    "SwitchClearing": "errors",
    "Switch": "client.switch",
    "Beat": "client.switch",
    "CancelWorkerError": "errors",
    "InvalidCommand": "errors",
    "NotReplicated": "errors",
    "Outcome": "model.outcomes",
    "Producer": "client.producer",
    "Result": "client.ticket",
    "SettingsError": "errors",
    "State": "model.jobs",
    "StoreUnavailable": "errors",
    "Ticket": "client.ticket",
    "UnknownAccount": "errors",
}

__all__ = [
    "Beat",
    "CancelWorkerError",
    "InvalidCommand",
    "NotReplicated",
    "Outcome",
    "Producer",
    "Result",
    "SettingsError",
    "State",
    "StoreUnavailable",
    "Switch",
    "SwitchClearing",
    "SwitchDisarmed",
    "SwitchError",
    "SwitchOverlap",
    "SwitchReplaced",
    "SwitchTripped",
    "SwitchUnknown",
    "Ticket",
    "UnknownAccount",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that the command line starts faster."""
    if name not in _HOMES:
        raise AttributeError(f"module 'worker' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"worker.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
