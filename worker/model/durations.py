"""Time spans as people type them: 500ms, 30s, 2m, 1h, 1d. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

UNITS_MS: Final[Mapping[str, int]] = MappingProxyType(
    {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
)
_NAMES: Final[Mapping[str, str]] = MappingProxyType({"ms": "milliseconds", "s": "seconds"})
_SPAN: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d)?")


def duration_ms(text: str, *, unit: str = "") -> int:
    """Return a time span in ms.

    Args:
        text: A number and a unit, such as `30s`.
        unit: Unit of a number without one; empty if it needs one.

    Raises:
        ValueError: It is no time span, or has no unit. The text says how to write it.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        bare = f", or a number of {_NAMES.get(unit, unit)}" if unit else ""
        raise ValueError(f"give a time such as 500ms, 30s, 2m, 1h{bare}")
    number, given = found.group(1, 2)
    if not (given or unit):
        raise ValueError(f"{number} has no unit: give {number}s, {number}ms or {number}m")
    return round(float(number) * UNITS_MS[given or unit])
