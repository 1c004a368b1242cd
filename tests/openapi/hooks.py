"""Hooks of schemathesis: waits are cut short, so that many cases are made in little time."""

from __future__ import annotations

import importlib
from typing import Any

WAITS = ("wait_ms", "clear_wait_ms")
WAIT_MAX_MS, REFUSED_MS = 3, 60_001


def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Shorten each wait that is allowed; one that is refused stays as it is."""
    for given in (case.query, case.body):
        if not isinstance(given, dict):
            continue
        for name in WAITS:
            try:
                asked_ms = int(given.get(name, 0))
            except (TypeError, ValueError, OverflowError):
                continue
            if WAIT_MAX_MS < asked_ms < REFUSED_MS:
                given[name] = WAIT_MAX_MS


importlib.import_module("schemathesis").hook(before_call)
