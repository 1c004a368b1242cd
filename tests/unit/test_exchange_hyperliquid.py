"""Hyperliquid: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.hyperliquid.adapter import HYPERLIQUID, spell, vet
from worker.exchanges.hyperliquid.signing import address_of
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    TimerReading,
    Unproven,
)
from worker.model.pairs import ListedPair, PairBook, names_of
from worker.model.wire import Reply
from worker.simulator.hyperliquid.signature import signer_of

NOW_MS = 1_700_000_000_000
ACCOUNT = "0x" + "Ab" * 20
SECRET = "0x" + "17" * 32
CLOID = "0x" + "0" * 31 + "1"
ID = "77738308"
CANCEL = CancelOrder(ID, pair="BTC")
MINE = CancelOrder(pair="BTC", client_order_id=CLOID)
QUERY = QueryOrder(ID, pair="BTC")
ASK_MINE = QueryOrder(pair="BTC", client_order_id=CLOID)
LIST = ListOpenOrders(pair="BTC")
TIMER, STOP = SetCountdown((), 60_000), SetCountdown((), 0)
MISSING = "Order was never placed, already canceled, or filled. asset=0"
UNTRADED = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000."


def access(**changes: Any) -> Access:
    """Return an account's credentials."""
    given = {"base_url": "https://api.hyperliquid.xyz", "api_key": ACCOUNT, "api_secret": SECRET}
    return Access(**{**given, **changes})


def sent(command: Command, stamp: Stamp | None = None, **changes: Any) -> tuple[str, Any]:
    """Sign a command; return the path and the document."""
    stamp = stamp or Stamp(NOW_MS, nonce=NOW_MS + 1, asset="3")
    request = HYPERLIQUID.sign(command, access(**changes), stamp)
    assert request.method == "POST"
    assert request.headers == {"Content-Type": "application/json"}
    base = changes.get("base_url", "https://api.hyperliquid.xyz").rstrip("/")
    return request.url.removeprefix(base), json.loads(request.body)


def answer(command: Command, body: object, status: int = 200) -> Answer:
    """Read a reply."""
    return HYPERLIQUID.classify(command, Reply(status, {}, json.dumps(body).encode(), 0))


def statuses(*found: object, kind: str = "cancel") -> dict[str, object]:
    """Build the reply to a cancel."""
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": list(found)}}}


def row(**other: object) -> dict[str, object]:
    """Build an order as lists and questions have it."""
    named = {"coin": "BTC", "side": "B", "oid": int(ID), "cloid": CLOID, "isTrigger": False}
    return {**named, **other}


def report(status: str, **other: object) -> dict[str, object]:
    """Build the reply to a question about one order."""
    return {"status": "order", "order": {"order": row(**other), "status": status}}


# What goes out


@dataclass(frozen=True)
class Recorded:
    """A recorded request, with our command for it."""

    case: dict[str, Any]
    command: Command


def recorded() -> list[Recorded]:
    """Return the recorded requests that are to be copied."""
    found = json.loads((golden.FOLDER / "hyperliquid.json").read_text())["cases"]
    ours: list[Recorded] = []
    for case in found:
        inputs = case["inputs"]
        commands: dict[str, Command] = {
            "cancel_order": CancelOrder(inputs.get("order_id", ""), pair="BTC"),
            "cancel_by_client_id": CancelOrder(
                pair="BTC", client_order_id=inputs.get("client_order_id")
            ),
            "query_order": QueryOrder(inputs.get("order_id", "")),
            "open_orders": ListOpenOrders(),
            "countdown_set": SetCountdown((), inputs.get("countdown_ms", 0)),
            "countdown_disarm": SetCountdown((), 0),
        }
        if "wrong" not in case:
            ours.append(Recorded(case, commands[case["command"]]))
    return ours


@pytest.mark.parametrize("it", recorded(), ids=lambda it: it.case["command"])
def test_requests_are_those_of_an_independent_implementation(it: Recorded) -> None:
    """Address, parameters and signature."""
    case, theirs = it.case, it.case["request"]
    its = access(api_key=case["wallet_address"], api_secret=case["private_key"])
    request = HYPERLIQUID.sign(it.command, its, Stamp(case["now_ms"], case["now_ms"], asset="0"))
    assert (request.method, request.url) == (theirs["method"], theirs["url"])
    assert json.loads(request.body) == json.loads(theirs["body"])
    assert request.headers.items() >= theirs["headers"].items()


def test_a_timer_is_never_unset_by_a_time() -> None:
    """The exchange would refuse a time of now, and leave the timer as it is."""
    assert sent(STOP)[1]["action"] == {"type": "scheduleCancel"}
    wrong = next(
        case
        for case in json.loads((golden.FOLDER / "hyperliquid.json").read_text())["cases"]
        if "wrong" in case
    )
    assert json.loads(wrong["request"]["body"])["action"] != sent(STOP)[1]["action"]


def test_a_timer_is_set_to_a_moment_of_the_exchanges_clock() -> None:
    """With a window the request itself expires, and its signature covers that."""
    path, body = sent(TIMER)
    assert (path, body["nonce"], "expiresAfter" in body) == ("/exchange", NOW_MS + 1, False)
    assert body["action"] == {"type": "scheduleCancel", "time": NOW_MS + 60_000}
    _, bounded = sent(TIMER, Stamp(NOW_MS, NOW_MS + 1, window_ms=1_500))
    assert bounded["expiresAfter"] == NOW_MS + 1_500
    assert signer_of(bounded) == signer_of(body) == address_of(SECRET)


def test_the_testnet_is_signed_for() -> None:
    """A request for the one is worth nothing at the other."""
    _, body = sent(CANCEL, testnet=True)
    assert body["signature"] != sent(CANCEL)[1]["signature"]


def test_questions_name_the_account_and_are_not_signed() -> None:
    """In lower case, below any base URL."""
    user = ACCOUNT.lower()
    assert sent(QUERY) == ("/info", {"type": "orderStatus", "user": user, "oid": int(ID)})
    assert sent(ASK_MINE)[1] == {"type": "orderStatus", "user": user, "oid": CLOID}
    assert sent(LIST, base_url="http://127.0.0.1:1/hl/") == (
        "/info",
        {"type": "frontendOpenOrders", "user": user},
    )
    assert sent(ReadTimer())[1] == {"type": "userRateLimit", "user": user}
    parts = HYPERLIQUID.capabilities.pair_lists
    assert [sent(ListPairs(part))[1] for part in parts] == [{"type": "meta"}, {"type": "spotMeta"}]


def test_other_exchanges_are_asked_by_name() -> None:
    """Their names first; a pair tells the one that it is on."""
    user = {"type": "frontendOpenOrders", "user": ACCOUNT.lower()}
    for command in (ListOpenOrders(after="?"), ListPairs("meta", "?")):
        assert sent(command)[1] == {"type": "perpDexs"}
    assert sent(ListOpenOrders(after="2:xyz 3:flx"))[1] == {**user, "dex": "xyz"}
    assert sent(ListPairs("meta", "2:xyz"))[1] == {"type": "meta", "dex": "xyz"}
    assert sent(ListOpenOrders(pair="xyz:TSLA"))[1] == {**user, "dex": "xyz"}


def test_a_market_of_another_exchange_is_canceled_by_its_asset() -> None:
    """As any other; only the name has a colon."""
    order = CancelOrder(ID, pair="xyz:TSLA")
    _, body = sent(order, Stamp(NOW_MS, NOW_MS, asset="110001"))
    assert body["action"] == {"type": "cancel", "cancels": [{"a": 110_001, "o": int(ID)}]}
    for wrong in ("xyz/TSLA", "xyz TSLA", "xyz~TSLA", "xyz,TSLA", ""):
        with pytest.raises(InvalidCommand, match=r"is not a pair: .* : # or -"):
            HYPERLIQUID.check(CancelOrder(ID, pair=wrong))


def test_the_name_of_an_outcome_market_tells_its_asset_id() -> None:
    """From 100,000,000; no other name does."""
    asset_in = HYPERLIQUID.capabilities.asset_in
    assert [asset_in(pair) for pair in ("#0", "#21")] == ["100000000", "100000021"]
    assert not any(asset_in(pair) for pair in ("BTC", "#", "#021", "@21", "xyz:#21"))


@pytest.mark.parametrize(
    ("command", "stamp"),
    [
        (CANCEL, Stamp(NOW_MS, NOW_MS)),
        (CANCEL, Stamp(NOW_MS, NOW_MS, asset="²")),
        (CANCEL, Stamp(NOW_MS, asset="0")),
        (TIMER, Stamp(NOW_MS)),
        (CancelOrder(ID), Stamp(NOW_MS, NOW_MS, asset="0")),
        (CancelOrder("0", pair="BTC"), Stamp(NOW_MS, NOW_MS, asset="0")),
        (CancelOrder("9" * 20, pair="BTC"), Stamp(NOW_MS, NOW_MS, asset="0")),
        (CancelOrder(pair="BTC", client_order_id=CLOID.upper()), Stamp(NOW_MS, 1, asset="0")),
        (CancelOrder(pair="BTC", client_order_id=CLOID[:-1]), Stamp(NOW_MS, 1, asset="0")),
        (SetCountdown(("BTC",), 60_000), Stamp(NOW_MS, NOW_MS)),
        (SetCountdown((), 5_999), Stamp(NOW_MS, NOW_MS)),
        (CancelScope(), Stamp(NOW_MS, NOW_MS)),
        (FetchToken(), Stamp(NOW_MS, NOW_MS)),
    ],
)
def test_what_cannot_be_right_is_not_signed(command: Command, stamp: Stamp) -> None:
    """No asset id, no nonce, no order, or no such command."""
    with pytest.raises(InvalidCommand):
        HYPERLIQUID.sign(command, access(), stamp)


def test_client_ids_begin_with_fewer_digits() -> None:
    """A prefix is shorter than an id, and of the same digits."""
    HYPERLIQUID.check(ListOpenOrders(client_id_prefix="0xa1"))
    for wrong in ("a1", "0xG", "0x" + "0" * 33):
        with pytest.raises(InvalidCommand, match="begins no client order id"):
            HYPERLIQUID.check(ListOpenOrders(client_id_prefix=wrong))


@pytest.mark.parametrize(
    ("pair", "spelled"),
    [
        ("BTC", "BTC"),
        ("BTC/USDC:USDC", "BTC"),
        ("kPEPE/USDC:USDC", "kPEPE"),
        ("@107", "@107"),
        ("PURR/USDC", "@0"),
        ("HYPE/USDC", "HYPE-USDC"),
        ("xyz:TSLA", "xyz:TSLA"),
        ("XYZ-TSLA/USDH:USDH", "XYZ-TSLA"),
        ("#20", "#20"),
    ],
)
def test_pairs_are_spelled_as_the_exchange_does(pair: str, spelled: str) -> None:
    """What only the exchange's list can tell has a name that passes as a pair; case counts."""
    assert spell(pair) == spelled
    HYPERLIQUID.check(ListOpenOrders(pair=spelled))


def test_a_spot_market_is_found_by_ccxts_name_as_it_is_spelled() -> None:
    """The list of pairs has no such name, but one with the same parts."""
    book = PairBook(1, names_of([ListedPair("@107", ("HYPE/USDC",), "10107")]))
    for name in ("HYPE/USDC", spell("HYPE/USDC")):
        listed = book.find(name, spell)
        assert listed is not None
        assert listed.pair == "@107"


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"api_key": ACCOUNT.lower()}, ""),
        ({"api_secret": SECRET[2:]}, ""),
        ({"api_key": ACCOUNT[:-1]}, "api_key is no address"),
        ({"api_key": "key"}, "api_key is no address"),
        ({"api_secret": SECRET[:-1]}, "api_secret: .*64 hexadecimal digits"),
        ({"api_key": address_of(SECRET)}, "api_key is the address of api_secret"),
        ({"api_key": "0x" + address_of(SECRET)[2:].upper()}, "api_key is the address"),
    ],
)
def test_credentials_that_cannot_be_right_are_named(changes: dict[str, str], wrong: str) -> None:
    """Above all an API wallet's address in place of the account's: its lists would be empty."""
    found = vet(access(**changes))
    assert re.match(wrong, found) if wrong else not found
    assert SECRET[2:] not in found


def test_a_strategy_does_not_import_the_signing_libraries() -> None:
    """It checks its commands with the adapter, and signs nothing."""
    code = (
        "import sys; from worker.exchanges import EXCHANGES; "
        "from worker.model.commands import CancelOrder; "
        "EXCHANGES['hyperliquid'].check(CancelOrder('1', pair='BTC')); "
        "print({'coincurve', 'Crypto', 'msgpack'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


# What comes back


@pytest.mark.parametrize("command", [CANCEL, MINE])
def test_a_success_is_proof(command: Command) -> None:
    """Of the one order that was named."""
    assert answer(command, statuses("success")) == Closed(Outcome.CANCELED)


@pytest.mark.parametrize(
    "body",
    [
        statuses("success", "success"),
        statuses(),
        statuses("Success"),
        statuses("success", kind="order"),
        statuses({"success": True}),
        {**statuses("success"), "status": "err"},
        {"status": "ok", "response": {"type": "default"}},
        {"status": "ok"},
        [],
    ],
)
def test_what_is_not_the_documented_success_is_unknown(body: object) -> None:
    """Nothing near it counts."""
    found = answer(CANCEL, body)
    assert isinstance(found, Unproven)
    assert (found.outcome, found.missing) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize(
    "body", [statuses({"error": MISSING}), {"status": "err", "response": MISSING}]
)
def test_one_text_stands_for_three_fates(body: object) -> None:
    """It proves none of them: the order is asked about."""
    found = answer(CANCEL, body)
    assert isinstance(found, Unproven)
    assert (found.outcome, found.missing) == (Outcome.UNKNOWN, True)


REFUSALS = [
    ("L1 error: User or API Wallet 0x14 does not exist.", Outcome.UNAUTHORIZED, None, None),
    ("User or API Wallet 0x14 does not exist.", Outcome.UNAUTHORIZED, None, None),
    ("Must deposit before performing actions. User: 0x14", Outcome.UNAUTHORIZED, None, None),
    ("Too many cumulative requests sent (10001 > 10000)", Outcome.THROTTLED, 10_000, None),
    ("Invalid nonce: duplicate nonce 1700000000000", Outcome.UNAVAILABLE, None, 0),
    ("Scheduled cancel time too early", Outcome.UNKNOWN, None, None),
    ("anything", Outcome.UNKNOWN, None, None),
]


@pytest.mark.parametrize("command", [CANCEL, TIMER, STOP])
@pytest.mark.parametrize(("text", "outcome", "wait_ms", "floor"), REFUSALS)
def test_refusals_are_told_apart(
    command: Command, text: str, outcome: Outcome, wait_ms: int | None, floor: int | None
) -> None:
    """By how their texts begin; an allowance that is spent grants one request in 10 s."""
    found = answer(command, {"status": "err", "response": text})
    assert isinstance(found, Unproven)
    assert (found.outcome, found.retry_after_ms, found.nonce_floor) == (outcome, wait_ms, floor)
    assert not found.timer_denied


@pytest.mark.parametrize(
    ("traded", "denied"),
    [
        ("1000000", ""),
        ("2854574593.578", ""),
        ("999999.99999", "it has traded 999999 USDC of 1000000"),
        ("0.0", "it has traded 0 USDC of 1000000"),
    ],
)
def test_what_an_account_has_traded_says_whether_it_has_a_timer(traded: str, denied: str) -> None:
    """Of the timer itself the exchange says nothing."""
    body = {"cumVlm": traded, "nRequestsUsed": 7, "nRequestsCap": 10_000}
    assert answer(ReadTimer(), body) == TimerReading(denied=denied)


@pytest.mark.parametrize("traded", ["", "-1", "1e9", "NaN", "²", 1_000_000, None])
def test_another_volume_says_nothing(traded: object) -> None:
    """It is no decimal number, as text."""
    assert isinstance(answer(ReadTimer(), {"cumVlm": traded}), Unproven)


def test_an_account_that_has_traded_too_little_has_no_timer() -> None:
    """So there is none to stop either: what it has traded only grows."""
    body = {"status": "err", "response": UNTRADED}
    found = answer(TIMER, body)
    assert isinstance(found, Unproven)
    assert (found.outcome, found.timer_denied) == (Outcome.REJECTED, True)
    assert answer(STOP, body) == CountdownSet()
    other = answer(CANCEL, body)
    assert isinstance(other, Unproven)
    assert (other.outcome, other.timer_denied) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize("command", [TIMER, STOP])
def test_a_timer_is_set_by_the_documented_success(command: Command) -> None:
    """The reply states no time."""
    assert answer(command, {"status": "ok", "response": {"type": "default"}}) == CountdownSet()
    assert isinstance(answer(command, statuses("success")), Unproven)


STATES = [
    ("open", OrderState.OPEN),
    ("triggered", OrderState.OPEN),
    ("filled", OrderState.FILLED),
    ("canceled", OrderState.CANCELED),
    ("scheduledCancel", OrderState.CANCELED),
    ("marginCanceled", OrderState.CANCELED),
    ("siblingFilledCanceled", OrderState.CANCELED),
    ("rejected", OrderState.FILLED),
    ("badAloPxRejected", OrderState.FILLED),
]


@pytest.mark.parametrize(("status", "state"), STATES)
@pytest.mark.parametrize("command", [QUERY, ASK_MINE])
def test_an_orders_state_is_read(command: Command, status: str, state: OrderState) -> None:
    """Those that end it are many; only a cancel is one."""
    assert answer(command, report(status)) == OrderReport(state)


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (QUERY, report("open", oid=1)),
        (QUERY, report("canceled", coin="ETH")),
        (ASK_MINE, report("canceled", cloid=None)),
        (QUERY, report("odd")),
        (QUERY, report("not Canceled")),
        (QUERY, {**report("canceled"), "status": "ok"}),
        (QUERY, {"status": "order"}),
    ],
)
def test_another_order_or_state_answers_nothing(command: Command, body: object) -> None:
    """The id, the client's id and the market are compared."""
    found = answer(command, body)
    assert isinstance(found, Unproven)
    assert found.outcome is Outcome.UNKNOWN


def test_an_unknown_id_is_missing() -> None:
    """Which proves nothing."""
    found = answer(QUERY, {"status": "unknownOid"})
    assert isinstance(found, OrderReport)
    assert found.state is OrderState.MISSING


def test_open_orders_are_filtered_by_market_side_and_client_id() -> None:
    """The exchange lists all of the account, stop orders marked."""
    rows = [
        row(),
        row(oid=2, side="A", cloid=None, isTrigger=True),
        row(oid=3, coin="@107"),
        row(oid=4, coin="PURR/USDC"),
    ]
    mine, stop = OpenOrder(ID, "BTC", "buy"), OpenOrder("2", "BTC", "sell", stop=True)
    spot, first = OpenOrder("3", "@107", "buy"), OpenOrder("4", "@0", "buy")
    assert answer(LIST, rows) == OpenOrders((mine, stop), complete=True)
    every = OpenOrders((mine, stop, spot, first), complete=True, next="?")
    assert answer(ListOpenOrders(), rows) == every
    assert answer(ListOpenOrders("BTC", "sell"), rows) == OpenOrders((stop,), complete=True)
    assert answer(ListOpenOrders("@0"), rows) == OpenOrders((first,), complete=True)
    prefixed = ListOpenOrders("BTC", client_id_prefix="0x0")
    assert answer(prefixed, rows) == OpenOrders((mine,), complete=True)


@pytest.mark.parametrize(
    "odd",
    [
        row(oid=None),
        row(coin="xyz:"),
        row(coin=":TSLA"),
        row(coin="#01"),
        row(side="X"),
        row(isTrigger=None),
        {},
        "text",
    ],
)
def test_a_row_that_cannot_be_read_leaves_a_list_incomplete(odd: object) -> None:
    """The others are taken."""
    found = answer(ListOpenOrders(), [row(oid=9), odd])
    assert isinstance(found, OpenOrders)
    assert not found.complete
    assert found.orders[0] == OpenOrder("9", "BTC", "buy")


def test_a_client_id_that_cannot_be_read_leaves_a_list_by_prefix_incomplete() -> None:
    """The order may be one of them."""
    asked = ListOpenOrders("BTC", client_id_prefix="0x0")
    assert answer(asked, [row(cloid=7)]) == OpenOrders((), complete=False)


def test_perpetuals_are_numbered_by_their_place() -> None:
    """Also behind one that cannot be read."""
    universe = [{"name": "BTC"}, {"name": "odd:name"}, {"name": "kPEPE"}]
    assert answer(ListPairs("meta"), {"universe": universe}) == PairList(
        (
            ListedPair("BTC", ("BTC/USDC:USDC",), "0"),
            ListedPair("kPEPE", ("kPEPE/USDC:USDC",), "2"),
        ),
        next="?",
    )


DEXS = [None, {"name": "xyz"}, {"name": "too-odd"}, {"name": "flx"}]


def test_other_exchanges_keep_their_numbers() -> None:
    """Also behind one that cannot be named, whose orders no list can show."""
    rest = "1:xyz 3:flx"
    assert answer(ListOpenOrders(after="?"), DEXS) == OpenOrders((), complete=False, next=rest)
    assert answer(ListOpenOrders(after="?"), DEXS[:2]) == OpenOrders(
        (), complete=True, next="1:xyz"
    )
    assert answer(ListOpenOrders(after="?"), [None]) == OpenOrders((), complete=True)
    assert answer(ListPairs("meta", "?"), DEXS) == PairList((), rest)
    assert answer(ListPairs("meta", "?"), [None]) == PairList(())


def test_so_many_exchanges_are_listed_that_the_limit_is_kept() -> None:
    """A list of more proves nothing; it takes less than the weight of a minute."""
    found = answer(ListOpenOrders(after="?"), [None, *({"name": f"d{n}"} for n in range(60))])
    assert isinstance(found, OpenOrders)
    assert (found.complete, len(found.next.split(" "))) == (False, 45)
    (limit,) = HYPERLIQUID.capabilities.limits
    assert (45 + 2) * limit.weight(ListOpenOrders) < limit.max_requests


@pytest.mark.parametrize(
    "body",
    [[], {}, None, "text", [{"name": "xyz"}], [None, {"name": "xyz"}, {"name": "xyz"}]],
)
@pytest.mark.parametrize("command", [ListOpenOrders(after="?"), ListPairs("meta", "?")])
def test_a_list_of_exchanges_that_is_ambiguous_is_none(command: Command, body: object) -> None:
    """A place must not be guessed."""
    assert isinstance(answer(command, body), Unproven)


def test_perpetuals_of_another_exchange_are_numbered_by_both_places() -> None:
    """Those of a third are none of its; ccxt's name is found without what it is quoted in."""
    universe = [{"name": "flx:CRCL"}, {"name": "CRCL"}, {"name": "xyz:TSLA"}, {"name": "flx:a-B"}]
    found = answer(ListPairs("meta", "3:flx 4:new"), {"universe": universe})
    assert found == PairList(
        (
            ListedPair("flx:CRCL", ("FLX-CRCL",), "130000"),
            ListedPair("flx:a-B", ("FLX-A-B",), "130003"),
        ),
        next="4:new",
    )
    assert answer(ListPairs("meta", "4:new"), {"universe": []}) == PairList(())
    assert answer(ListPairs("meta", "4:new"), None) == PairList(())
    assert isinstance(answer(ListPairs("meta", "4:new"), {}), Unproven)
    book = PairBook(1, names_of(found.pairs))
    for name in ("flx:CRCL", "FLX-CRCL/USDH:USDH", "FLX-CRCL/USDC:USDC", "flx:crcl"):
        listed = book.find(name, spell)
        assert listed is not None
        assert (listed.pair, listed.asset) == ("flx:CRCL", "130000")


def test_open_orders_of_other_exchanges_are_pages() -> None:
    """One for each; of a pair there is one page alone."""
    mine = row(coin="xyz:TSLA")
    order = OpenOrder(ID, "xyz:TSLA", "buy")
    page = ListOpenOrders(after="1:xyz 2:flx")
    assert answer(page, [mine]) == OpenOrders((order,), complete=True, next="2:flx")
    assert answer(ListOpenOrders(after="2:flx"), []) == OpenOrders((), complete=True)
    pair = ListOpenOrders(pair="xyz:TSLA")
    assert answer(pair, [mine, row(coin="xyz:GOLD")]) == OpenOrders((order,), complete=True)
    outcome = OpenOrder(ID, "#20", "buy")
    assert answer(ListOpenOrders("#20"), [row(coin="#20")]) == OpenOrders((outcome,), complete=True)


def test_spot_markets_are_numbered_by_what_they_state() -> None:
    """From 10,000; their coins are named by the list of tokens."""
    universe = [
        {"name": "PURR/USDC", "tokens": [1, 0], "index": 0},
        {"name": "@107", "tokens": [150, 0], "index": 107},
        {"name": "@8", "tokens": [9, 0], "index": 8},
    ]
    tokens = [
        {"name": "USDC", "index": 0},
        {"name": "PURR", "index": 1},
        {"name": "HYPE", "index": 150},
    ]
    assert answer(ListPairs("spotMeta"), {"universe": universe, "tokens": tokens}) == PairList(
        (
            ListedPair("@0", ("PURR/USDC",), "10000"),
            ListedPair("@107", ("HYPE/USDC",), "10107"),
            ListedPair("@8", (), "10008"),
        )
    )


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("meta", {"universe": []}),
        ("meta", {"universe": [{"name": "BTC"}, {"name": "BTC"}]}),
        ("meta", []),
        ("spotMeta", {"universe": [{"index": 1, "tokens": []}]}),
        ("spotMeta", {"universe": [{"index": "1"}], "tokens": []}),
        ("spotMeta", {"universe": [{"index": 1}, {"index": 1}], "tokens": []}),
        ("spotMeta", {"universe": [{"index": 10_000}], "tokens": []}),
    ],
)
def test_a_list_of_markets_that_is_ambiguous_is_none(part: str, body: object) -> None:
    """An asset id must not be guessed."""
    assert isinstance(answer(ListPairs(part), body), Unproven)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (422, Outcome.REJECTED),
        (429, Outcome.THROTTLED),
        (500, Outcome.UNAVAILABLE),
        (502, Outcome.UNAVAILABLE),
        (504, Outcome.UNKNOWN),
        (403, Outcome.UNKNOWN),
    ],
)
@pytest.mark.parametrize("command", [CANCEL, QUERY, LIST, TIMER])
def test_a_status_alone_says_what_it_says_everywhere(
    command: Command, status: int, outcome: Outcome
) -> None:
    """422 is a body that the exchange could not read; nothing was done."""
    found = HYPERLIQUID.classify(command, Reply(status, {}, b"null", 0))
    assert isinstance(found, Unproven)
    assert found.outcome is outcome
