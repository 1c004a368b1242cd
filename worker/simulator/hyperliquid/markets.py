"""The markets of the simulated Hyperliquid."""

from __future__ import annotations

COINS = ("BTC", "ETH", "ATOM", "SOL", "kPEPE", "HYPE")
"""Perpetuals; the place of each is its asset id."""
TOKENS = ("USDC", "PURR", "HYPE", "UBTC")
SPOT = {0: (1, 0), 107: (2, 0), 142: (3, 0)}
"""Spot markets by number, with the indexes of their coins."""
FIRST_SPOT = 10_000


def pair_of(asset: object) -> str:
    """Return the market of an asset id as the book has it; empty if there is none."""
    if type(asset) is not int:
        return ""
    if asset - FIRST_SPOT in SPOT:
        return f"@{asset - FIRST_SPOT}"
    return COINS[asset] if 0 <= asset < len(COINS) else ""


def perpetuals() -> dict[str, object]:
    """Answer `meta`."""
    return {"universe": [{"name": name, "szDecimals": 3, "maxLeverage": 50} for name in COINS]}


def spot() -> dict[str, object]:
    """Answer `spotMeta`."""
    rows = [
        {
            "name": f"@{n}" if n else "PURR/USDC",
            "tokens": list(coins),
            "index": n,
            "isCanonical": not n,
        }
        for n, coins in SPOT.items()
    ]
    tokens = [{"name": name, "index": n, "szDecimals": 2} for n, name in enumerate(TOKENS)]
    return {"universe": rows, "tokens": tokens}
