"""The markets of the simulated Hyperliquid."""

from __future__ import annotations

COINS = ("BTC", "ETH", "ATOM", "SOL", "kPEPE", "HYPE")
"""Perpetuals; the place of each is its asset id."""
TOKENS = ("USDC", "PURR", "HYPE", "UBTC")
SPOT = {0: (1, 0), 107: (2, 0), 142: (3, 0)}
"""Spot markets by number, with the indexes of their coins."""
FIRST_SPOT = 10_000
DEXS: dict[str, tuple[str, ...]] = {
    "xyz": ("xyz:XYZ100", "xyz:TSLA"),
    "new": (),
    "flx": ("flx:CRCL", "flx:TSLA"),
}
"""Other exchanges, in the order of their numbers from 1; the place of each perpetual follows."""
FIRST_DEX, DEX_ASSETS = 100_000, 10_000
OUTCOMES = (20, 21)
"""Two sides of an outcome market."""
FIRST_OUTCOME = 100_000_000


def pair_of(asset: object) -> str:
    """Return the market of an asset id as the book has it; empty if there is none."""
    if type(asset) is not int:
        return ""
    if asset - FIRST_SPOT in SPOT:
        return f"@{asset - FIRST_SPOT}"
    if asset - FIRST_OUTCOME in OUTCOMES:
        return f"#{asset - FIRST_OUTCOME}"
    number, place = divmod(asset - FIRST_DEX, DEX_ASSETS)
    if 1 <= number <= len(DEXS):
        coins = DEXS[[*DEXS][number - 1]]
        return coins[place] if place < len(coins) else ""
    return COINS[asset] if 0 <= asset < len(COINS) else ""


def dex_of(pair: str) -> str:
    """Return the other exchange that a market is on; empty for the own."""
    dex, colon, _ = pair.partition(":")
    return dex if colon else ""


def perpetuals(dex: str = "") -> dict[str, object] | None:
    """Answer `meta`; null for an exchange that there is not."""
    coins = DEXS.get(dex) if dex else COINS
    if coins is None:
        return None
    rows = [{"name": name, "szDecimals": 3, "maxLeverage": 50} for name in coins]
    return {"universe": rows, "marginTables": [], "collateralToken": 0}


def dexs() -> list[object]:
    """Answer `perpDexs`: the own exchange has the first place, and no name."""
    others = [
        {"name": name, "fullName": name.upper(), "deployer": f"0x{n:040x}", "oracleUpdater": None}
        for n, name in enumerate(DEXS, 1)
    ]
    return [None, *others]


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
