"""Lists of pairs as each exchange writes them, compared whole."""

from __future__ import annotations

import json

import pytest

from worker.exchanges import EXCHANGES
from worker.model.commands import ListPairs
from worker.model.outcomes import PairList, Unproven
from worker.model.pairs import ListedPair
from worker.model.wire import Reply

BITMART = [{"id": "BTC_USDT", "base_currency": "BTC", "quote_currency": "USDT"}]
KUCOIN = [{"symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT"}]
KRAKEN = {
    "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD"},
    "ETHUSD": {"altname": "ETHUSD"},
    "X Y": {"altname": "XDGUSD", "wsname": "XDG/USD"},
}
KRAKEN_PAIRS = (
    ListedPair("XBTUSD", ("XXBTZUSD", "XBT/USD", "BTC/USD")),
    ListedPair("ETHUSD", ("ETHUSD",)),
    ListedPair("XDGUSD", ("XDG/USD", "DOGE/USD")),
)
LISTS: list[tuple[str, str, object, tuple[ListedPair, ...] | None]] = [
    ("bitmart", "", BITMART, (ListedPair("BTC_USDT", ("BTC/USDT",)),)),
    ("kucoin", "", {"code": "200000", "data": KUCOIN}, (ListedPair("BTC-USDT", ("BTC/USDT",)),)),
    ("kraken", "", {"error": [], "result": KRAKEN}, KRAKEN_PAIRS),
    ("kraken", "", {"error": [], "result": {**KRAKEN, "odd": {"altname": "a b"}}}, None),
    ("kraken", "", {"error": [], "result": {}}, None),
    ("kraken", "", {"error": [], "result": [KRAKEN]}, None),
    ("okx", "SPOT", {"code": "0", "data": [{"instId": "A-B"}]}, (ListedPair("A-B"),)),
    ("okx", "SWAP", {"code": "0", "data": [{"instId": "A-B-SWAP"}]}, (ListedPair("A-B-SWAP"),)),
    # Some of the exchange's sites have no derivatives.
    ("okx", "SPOT", {"code": "0", "data": []}, None),
    ("okx", "SWAP", {"code": "0", "data": []}, ()),
    ("okx", "FUTURES", {"code": "0", "data": []}, ()),
    ("okx", "FUTURES", {"code": "0"}, None),
]


@pytest.mark.parametrize(("name", "part", "body", "pairs"), LISTS)
def test_a_list_of_pairs(
    name: str, part: str, body: object, pairs: tuple[ListedPair, ...] | None
) -> None:
    """Each pair with its other names; no answer where one of them cannot be read."""
    reply = Reply(200, {}, json.dumps(body).encode(), 0)
    answer = EXCHANGES[name].classify(ListPairs(part), reply)
    if pairs is None:
        assert isinstance(answer, Unproven)
    else:
        assert answer == PairList(pairs)
