"""What each id of ccxt signs, as found by `ops/ccxt_table.py`; ccxt itself is not imported.

A strategy checks its commands by this table. Only workers have ccxt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

CREDENTIALS: Final[Mapping[str, str]] = {
    "api_key": "apiKey",
    "api_secret": "secret",
    "passphrase": "password",
    "uid": "uid",
    "wallet": "walletAddress",
    "private_key": "privateKey",
}
"""By the name in the settings, ccxt's."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        plain: Method and path without a pair, as ccxt names them; empty if it needs one.
        paired: The same with a pair; empty if it takes none. No other one is ever sent.
    """

    plain: str
    paired: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One id.

    Attributes:
        title: Its name for people.
        origin: Where its cancels go.
        kind: `spot` or `swap`: which of its markets are served.
        needs: Credentials by their names in the settings.
        cancel: None if ccxt forms no cancel without more than an order id and a pair.
        query: The same for a question about one order.
        listing: The same for the list of open orders.
        nonce: Whether its requests carry a nonce.
        gap_ms: Time between two requests by which ccxt keeps the exchange's limits.
        options: ccxt's, so that no request goes before the one that is meant.
    """

    title: str
    origin: str
    kind: str
    needs: tuple[str, ...]
    cancel: Call | None = None
    query: Call | None = None
    listing: Call | None = None
    nonce: bool = False
    gap_ms: int = 1_000
    options: Mapping[str, object] = field(default_factory=dict)


@cache
def table() -> Mapping[str, Entry]:
    """Return every id of ccxt with what it signs."""
    text = files(__package__).joinpath("ids.json").read_text(encoding="utf-8")
    return {name: _entry(row) for name, row in json.loads(text)["ids"].items()}


def _entry(row: dict[str, Any]) -> Entry:
    calls = {name: Call(*row[name]) for name in ("cancel", "query", "listing") if row.get(name)}
    rest = {name: value for name, value in row.items() if name not in calls}
    return Entry(**{**rest, "needs": tuple(row["needs"]), **calls})
