"""Switches, of which a process without Redis knows none."""

from __future__ import annotations

from collections.abc import Sequence


class MemorySwitches:
    """Knows no armed scope; only what a tripped switch has left asks for them."""

    def owners(self, lane: str, pairs: Sequence[str]) -> list[str]:  # noqa: ARG002  as `Switches.owners`
        """Return the switches that hold these pairs: none."""
        return []
