"""How Bybit writes pairs and contracts."""

from __future__ import annotations

from typing import Final

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTH_LETTERS: Final = "FGHJKMNQUVXZ"
"""Months of inverse futures, as in `BTCUSDH24`."""
DATE_CHARS: Final = 6


def spell(pair: str) -> str:
    """Return a pair as the exchange writes it, from that or from ccxt's form.

    `BTC/USDT` and `BTC/USDT:USDT` are `BTCUSDT`, `BTC/USD:BTC` is `BTCUSD`, `BTC/USDC:USDC`
    is `BTCPERP`. With a date of delivery, `BTC/USDT:USDT-250328` is `BTCUSDT-28MAR25`,
    `BTC/USDC:USDC-250328` is `BTC-28MAR25`, and `BTC/USD:BTC-250328` is `BTCUSDH25`.
    """
    parts, contract, margin = pair.upper().partition(":")
    base, between, quote = parts.partition("/")
    if not between:
        return pair.upper()
    settled, _, delivery = margin.partition("-")
    in_usdc = bool(contract) and settled == quote == "USDC"
    if not _is_date(delivery):
        return f"{base}PERP" if in_usdc and not delivery else f"{base}{quote}"
    year, month, day = delivery[:2], int(delivery[2:4]), delivery[4:]
    if settled == base:
        return f"{base}{quote}{MONTH_LETTERS[month - 1]}{year}"
    return f"{base if in_usdc else base + quote}-{int(day)}{MONTHS[month - 1]}{year}"


def _is_date(text: str) -> bool:
    digits = text.isascii() and text.isdigit() and len(text) == DATE_CHARS
    return digits and 1 <= int(text[2:4]) <= len(MONTHS)
