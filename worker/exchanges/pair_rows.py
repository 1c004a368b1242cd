"""Read an exchange's list of its pairs."""

from __future__ import annotations

from worker.exchanges.checks import PAIR
from worker.exchanges.replies import text_at
from worker.model.outcomes import PairList
from worker.model.pairs import ListedPair


def read_pairs(
    rows: object, key: str, *, names: tuple[str, ...] = (), parts: tuple[str, str] = ("", "")
) -> PairList | None:
    """Take the pairs of a list; None unless every row can be read, and there is one.

    Args:
        rows: The list.
        key: Of the pair as rows of open orders have it.
        names: Keys of its other names.
        parts: Keys of its two assets, of which ccxt makes the name of the pair.
    """
    if not isinstance(rows, list) or not rows:
        return None
    pairs: list[ListedPair] = []
    for row in rows:
        pair = text_at(row, key)
        if not PAIR.fullmatch(pair):
            return None
        base, quote = (text_at(row, part) for part in parts)
        others = [text_at(row, name) for name in names]
        if base and quote:
            others.append(f"{base.upper()}/{quote.upper()}")
        pairs.append(ListedPair(pair, tuple(name for name in others if name and " " not in name)))
    return PairList(tuple(pairs))
