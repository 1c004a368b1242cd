"""The tree of errors, as callers may rely on it."""

from __future__ import annotations

import inspect
import pickle

import pytest

from worker import errors

TREE = {
    "CancelWorkerError": ("Exception",),
    "SettingsError": ("CancelWorkerError",),
    "ExtraMissing": ("CancelWorkerError",),
    "InvalidCommand": ("CancelWorkerError", "ValueError"),
    "UnknownAccount": ("InvalidCommand",),
    "SwitchOverlap": ("InvalidCommand",),
    "SwitchError": ("CancelWorkerError",),
    "SwitchTripped": ("SwitchError",),
    "SwitchReplaced": ("SwitchError",),
    "SwitchDisarmed": ("SwitchError",),
    "SwitchClearing": ("SwitchError",),
    "SwitchUnknown": ("SwitchError",),
    "LaterFormat": ("CancelWorkerError",),
    "StoreUnavailable": ("CancelWorkerError",),
    "NotReplicated": ("StoreUnavailable",),
    "TransportError": ("CancelWorkerError",),
    "NotSent": ("TransportError",),
    "ReplyLost": ("TransportError",),
}


def defined() -> dict[str, type[BaseException]]:
    """Return the errors that the module defines."""
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found)
        and found.__module__ == errors.__name__
        and issubclass(found, BaseException)
    }


def test_tree_is_what_callers_know() -> None:
    """A name, or what it can be caught as, changes only on purpose."""
    found = {
        name: tuple(base.__name__ for base in error.__bases__) for name, error in defined().items()
    }
    assert found == TREE


def test_tree_is_drawn_as_it_is() -> None:
    """The drawing above the module names every error, in order."""
    text = errors.__doc__ or ""
    drawn = [line.strip("├└─│ ").split()[0] for line in text.splitlines()[2:] if line.strip()]
    assert drawn == list(TREE)


@pytest.mark.parametrize("name", TREE)
def test_errors_are_documented_and_travel(name: str) -> None:
    """Each says what it means, and survives a pool of processes."""
    error = defined()[name]
    assert error.__doc__
    copy = pickle.loads(pickle.dumps(error("text")))  # noqa: S301  our own bytes
    assert type(copy) is error
    assert str(copy) == "text"


def test_lost_reply_is_never_taken_for_one_not_sent() -> None:
    """What is caught as safe to send again is only that."""
    assert not issubclass(errors.ReplyLost, errors.NotSent)
    assert not issubclass(errors.NotSent, errors.ReplyLost)
    assert not issubclass(errors.StoreUnavailable, errors.TransportError)
