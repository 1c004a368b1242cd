"""How Deribit names its instruments."""

from __future__ import annotations

import re
from typing import Final

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
KINDS: Final = ("future", "spot")
UNLISTED: Final = re.compile(r".+-[CP]|[A-Z0-9_]+-(?!PERPETUAL)[A-Z]+-.+")
"""Options, of which there are thousands, and combos."""
_DELIVERY: Final = re.compile(r"(\d\d)(\d\d)(\d\d)((?:-[0-9.D]+-[CP])?)", re.ASCII)
_POINT: Final = re.compile(r"(?<=\d)[D.](?=\d)", re.ASCII)
"""A strike's decimal point is a small `d`, as in `XRP_USDC-30JUN23-0d625-C`."""


def spell(pair: str) -> str:
    """Return an instrument's name, from that or from ccxt's form.

    `BTC/USD:BTC` is `BTC-PERPETUAL`, `ETH/USDC:USDC` is `ETH_USDC-PERPETUAL`, `BTC/USDC` is
    `BTC_USDC`. With a date of delivery, `BTC/USD:BTC-240329` is `BTC-29MAR24`, and
    `BTC/USD:BTC-240329-60000-C` is the option `BTC-29MAR24-60000-C`.
    """
    parts, contract, margin = pair.upper().partition(":")
    base, between, quote = parts.partition("/")
    if not between:
        return _POINT.sub("d", pair.upper())
    settled, _, delivery = margin.partition("-")
    named = base if settled == base else f"{base}_{quote}"
    if not contract:
        return named
    return f"{named}-{_delivered(delivery) if delivery else 'PERPETUAL'}"


def _delivered(text: str) -> str:
    """Return `240329-60000-C` as `29MAR24-60000-C`; what is no date as it is."""
    found = _DELIVERY.fullmatch(text)
    if not found or not 1 <= int(found[2]) <= len(MONTHS):
        return text
    year, month, day, option = found.groups()
    return f"{int(day)}{MONTHS[int(month) - 1]}{year}{_POINT.sub('d', option)}"
