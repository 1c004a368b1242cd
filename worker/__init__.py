"""A dead man's switch and cancellation service for trading bots."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from worker.client import *  # noqa: F403  type checkers read the names there
else:

    def __getattr__(name: str) -> object:
        """Import the public names on first use, so that `import worker` stays fast.

        They are classes. A lower-case name is a submodule, for Python to import.
        """
        if name != "__all__" and not name[0].isupper():
            raise AttributeError(f"module 'worker' has no attribute {name!r}")
        client = importlib.import_module("worker.client")
        if name == "__all__":
            return sorted(each for each in vars(client) if each[0].isupper())
        value = globals()[name] = getattr(client, name)
        return value
