"""How a switch's record names what it covers.

A pair stands for all its open orders. With a prefix of client order ids it is
`<pair>~<prefix in hex>`, or `*~<prefix in hex>` for all pairs. An order is named by the
exchange's id, or as `client <client order id>`. No pair has a `~`, and no id has a space.
`lua/lib/jobs.lua` has the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ALL_PAIRS: Final = "*"
_ITEM: Final = re.compile(r"([A-Za-z0-9_.@:#-]+|\*)~((?:[0-9a-f]{2})+)")
_CLIENT: Final = "client "


def scope_items(pairs: Iterable[str], prefix: str | None) -> tuple[str, ...]:
    """Return the names of pairs, of which a prefix covers only a part of the orders."""
    if not prefix:
        return tuple(pairs)
    coded = prefix.encode().hex()
    return tuple(f"{pair}~{coded}" for pair in tuple(pairs) or (ALL_PAIRS,))


def read_items(items: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """Return the pairs and the prefix of a record's names; a whole account has no pairs."""
    pairs, prefix = [], ""
    for item in items:
        pair = item
        if found := _ITEM.fullmatch(item):
            pair, prefix = found[1], bytes.fromhex(found[2]).decode(errors="replace")
        if pair != ALL_PAIRS:
            pairs.append(pair)
    return tuple(pairs), prefix


def shown_items(text: str) -> str:
    """Return a text with its names as people read them."""

    def words(found: re.Match[str]) -> str:
        prefix = bytes.fromhex(found[2]).decode(errors="replace")
        pair = "all pairs" if found[1] == ALL_PAIRS else found[1]
        return f"{pair} (client ids from {prefix})"

    return _ITEM.sub(words, text)


def order_names(order_ids: Iterable[str], client_order_ids: Iterable[str]) -> list[str]:
    """Return the names of orders."""
    return [*order_ids, *(f"{_CLIENT}{client_id}" for client_id in client_order_ids)]


def read_names(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return order ids and client order ids, sorted, of names."""
    listed = sorted(names)
    by_client = [name.removeprefix(_CLIENT) for name in listed if name.startswith(_CLIENT)]
    return tuple(n for n in listed if not n.startswith(_CLIENT)), tuple(by_client)
