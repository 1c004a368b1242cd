"""Armed scopes for a process without Redis: none."""

from __future__ import annotations

from collections.abc import Sequence


class MemorySwitches:
    """Reports no armed scope. Only cancels of a tripped switch ask for them."""

    def owners(self, lane: str, pairs: Sequence[str]) -> list[str]:  # noqa: ARG002  as `Switches.owners`
        """Return the switches that cover these pairs: none."""
        return []
