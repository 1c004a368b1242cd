"""Client order ids, their prefixes and stop orders: what is refused, and what is sent first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Capabilities, Exchange
from worker.exchanges.binance.adapter import BINANCE, BINANCE_USDM
from worker.exchanges.bitmart.adapter import BITMART
from worker.exchanges.checks import NUMBER_ID, Checker
from worker.exchanges.everstrike.adapter import EVERSTRIKE
from worker.exchanges.indodax.adapter import INDODAX
from worker.exchanges.kraken.adapter import KRAKEN
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.jobs import Job, Kind, Phase, State
from worker.policy.phases import (
    REPLACE_MAX,
    asking_phase,
    check_cancel,
    check_cancel_all,
    check_name,
    check_stops,
    check_switch,
    check_tracked,
    command_of,
    first_list,
    next_phase,
    takes_apart,
)

PAIR = "BTCUSDT"
BOUNDS: dict[str, Any] = {"timeout_ms": 60_000, "shortest_ms": 1_000, "longest_ms": 600_000}


def job(**fields: Any) -> Job:
    """Return a pending job for a scope, or for one order."""
    values = {"kind": Kind.CANCEL_ALL, "state": State.PENDING, **fields}
    return Job(id="j", lane="x:y", **values)


def capable(exchange: Any, **changed: Any) -> Exchange:
    """Return an exchange with other capabilities."""
    capabilities: Capabilities = replace(exchange.capabilities, **changed)
    changed_exchange: Exchange = replace(exchange, capabilities=capabilities)
    return changed_exchange


def refusal(check: Callable[[], object]) -> str:
    """Return the text of a refusal; empty if there is none."""
    try:
        check()
    except InvalidCommand as error:
        return str(error)
    return ""


SCOPE = {"pair": PAIR, "side": "buy", "client_id_prefix": "my"}
ORDER = {"kind": Kind.CANCEL, "order_id": "7", "pair": PAIR, "client_order_id": "my1", "stop": True}
COMMANDS: list[tuple[dict[str, Any], Phase, Command]] = [
    (SCOPE, Phase.STOPS, ListStopOrders(PAIR, "buy", "my")),
    (SCOPE, Phase.STOPS_LEFT, ListStopOrders(PAIR, "buy", "my")),
    (SCOPE, Phase.LIST, ListOpenOrders(PAIR, "buy", "my")),
    (ORDER, Phase.ASK, QueryOrder("7", PAIR, "my1", stop=True)),
    (ORDER, Phase.SEND, CancelOrder("7", PAIR, None, "my1", stop=True)),
]


@pytest.mark.parametrize(("fields", "phase", "command"), COMMANDS)
def test_a_command_carries_all_names_of_a_job(
    fields: dict[str, Any], phase: Phase, command: Command
) -> None:
    """The prefix, the client order id, and that it is a stop order."""
    assert command_of(job(**fields), phase) == command


FIRST: list[tuple[dict[str, Any], Exchange, Phase]] = [
    ({"pair": PAIR}, BINANCE, Phase.SEND),
    ({"pair": PAIR}, BINANCE_USDM, Phase.SEND),
    ({"pair": PAIR, "client_id_prefix": "my"}, BINANCE, Phase.LIST),
    ({"pair": PAIR, "client_id_prefix": "my"}, BINANCE_USDM, Phase.STOPS),
    ({"pair": PAIR, "client_id_prefix": "my", "stops": "keep"}, BINANCE_USDM, Phase.LIST),
    # A cancel of the whole scope leaves stop orders that are listed apart; elsewhere not.
    ({"pair": PAIR, "stops": "keep"}, BINANCE_USDM, Phase.SEND),
    ({"pair": PAIR, "stops": "keep"}, BINANCE, Phase.LIST),
]


@pytest.mark.parametrize(("fields", "exchange", "phase"), FIRST)
def test_a_part_of_a_scope_is_listed_first(
    fields: dict[str, Any], exchange: Exchange, phase: Phase
) -> None:
    """A cancel of the whole scope would reach orders that were not named."""
    assert next_phase(job(**fields), exchange) is phase


def test_stop_orders_are_listed_apart_unless_they_are_kept() -> None:
    """Only where the exchange has a list of its own for them."""
    keep, take = job(stops="keep"), job()
    assert [takes_apart(each, BINANCE_USDM) for each in (keep, take)] == [False, True]
    assert [takes_apart(each, BINANCE) for each in (keep, take)] == [False, False]
    assert first_list(take, BINANCE_USDM) is Phase.STOPS
    assert first_list(take, BINANCE) is Phase.LIST
    left = job(pair=PAIR, phase=Phase.STOPS_LEFT)
    assert asking_phase(left, BINANCE_USDM) is Phase.STOPS_LEFT
    assert asking_phase(replace(left, phase=Phase.SEND), BINANCE_USDM) is Phase.STOPS


def test_stop_orders_are_kept_where_they_can_be_told_from_others() -> None:
    """By a field of the open orders, or by a list of their own."""
    assert check_stops(BITMART, "take") == ""
    assert check_stops(BINANCE, "keep") == "keep"
    assert check_stops(BINANCE_USDM, "keep") == "keep"
    text = refusal(lambda: check_stops(BITMART, "keep"))
    assert text.startswith("no document of bitmart says how to tell stop orders from others")
    assert 'leave stops="keep" (--keep-stops) out' in text
    assert refusal(lambda: check_stops(BINANCE, "some")) == 'stops must be "take" or "keep"'


NAMES: list[tuple[object, bool, int, str]] = [
    (None, False, REPLACE_MAX + 1, ""),
    ("grid-btc_1.2", False, 0, ""),
    ("a" * 64, True, REPLACE_MAX, ""),
    ("a" * 65, False, 0, "a switch's name is 1 to 64 letters, digits, _, . and -"),
    ("", False, 0, "a switch's name is 1 to 64 letters, digits, _, . and -"),
    ("a b", False, 0, "a switch's name is 1 to 64 letters, digits, _, . and -"),
    (7, False, 0, "a switch's name is 1 to 64 letters, digits, _, . and -"),
    (None, True, 0, "replace=True replaces the switch of a name; give name"),
    ("grid", True, REPLACE_MAX + 1, f"replace=True takes at most {REPLACE_MAX} order ids"),
]


@pytest.mark.parametrize(("name", "replaces", "orders", "text"), NAMES)
def test_names_of_switches(name: object, replaces: bool, orders: int, text: str) -> None:  # noqa: FBT001
    """A name is short and plain, and only a name can be replaced."""
    assert refusal(lambda: check_name(name, replace=replaces, orders=orders)) == text


def test_a_prefix_is_refused_where_lists_do_not_have_it() -> None:
    """Or where it begins no client order id; the text says which."""
    listing = ListOpenOrders(pair=PAIR, client_id_prefix="my")
    BINANCE.check(listing)
    form = BINANCE.capabilities.client_ids
    assert form is not None
    for changed in ({"client_ids": None}, {"lists_client_ids": False}):
        unable = capable(BINANCE, **changed)
        unable.check(ListOpenOrders(pair=PAIR))
        text = refusal(lambda: unable.check(listing))  # noqa: B023  called at once
        assert text.startswith("binance has no documented way to list orders by their client")
        assert text.endswith("leave client_id_prefix out")
    unlisted: Any = 7
    for prefix, shown in (("a b", "'a b'"), ("", "''"), (unlisted, "a int")):
        text = refusal(lambda: BINANCE.check(replace(listing, client_id_prefix=prefix)))  # noqa: B023
        assert text.startswith(f"{shown} begins no client order id of binance: give 1 to ")
        assert text.endswith(f"{form.longest} characters of {form.words}")
    stops = ListStopOrders(pair=PAIR, client_id_prefix="a b")
    assert "begins no client order id" in refusal(lambda: BINANCE_USDM.check(stops))
    scope = {"pair": PAIR, "side": None}
    check_cancel_all(BINANCE, **scope, client_id_prefix="my")
    with pytest.raises(InvalidCommand, match="begins no"):
        check_cancel_all(BINANCE, **scope, client_id_prefix="a b")


def test_an_order_has_one_name() -> None:
    """The exchange's id or the client's, and one of them."""
    check_cancel(BINANCE, pair=PAIR, side=None, client_order_id="my1")
    check_cancel(BINANCE, order_id="7", pair=PAIR, side=None)
    for names in ({"order_id": "7", "client_order_id": "my1"}, {"client_order_id": "a b"}, {}):
        with pytest.raises(InvalidCommand):
            check_cancel(BINANCE, pair=PAIR, side=None, **names)
    both = CancelOrder("7", PAIR, client_order_id="my1")
    text = "an order has an order id or a client order id: give only one"
    assert refusal(lambda: BINANCE.check(both)) == text


def test_a_countdown_without_a_timer_still_names_pairs() -> None:
    """An exchange may take countdowns whose timer says nothing of their length."""
    timerless = replace(BINANCE_USDM.capabilities, timer=None)
    checker = Checker("x", timerless, NUMBER_ID, {})
    checker.check(SetCountdown((PAIR,), 60_000))
    pairs: Any
    for pairs in ((), [PAIR], None):
        text = refusal(lambda: checker.check(SetCountdown(pairs, 0)))  # noqa: B023
        assert text.startswith("a countdown needs at least one pair")
    odd: Any = [PAIR]
    assert "takes no pairs" in refusal(lambda: KRAKEN.check(SetCountdown(odd, 0)))
    seconds = capable(BINANCE_USDM, timer=KRAKEN.capabilities.timer)
    seconds.check(SetCountdown((), 0))
    none: Any = None
    seconds.check(SetCountdown(none, 0))


def armed(exchange: Exchange, **scope: Any) -> str:
    """Return why a switch is refused."""
    scope = {"pairs": (), "order_ids": (), **scope}
    return refusal(lambda: check_switch(exchange, **scope, **BOUNDS))


def test_a_switch_may_cover_client_order_ids_or_a_prefix() -> None:
    """Each is a scope, and none of them goes with everything."""
    assert armed(BINANCE, client_id_prefix="my") == ""
    assert armed(BINANCE_USDM, client_id_prefix="my") == ""
    assert armed(BINANCE, pairs=(PAIR,), client_order_ids=("my1",)) == ""
    assert "begins no" in armed(BINANCE, client_id_prefix="a b")
    assert "begins no" in armed(BINANCE, pairs=(PAIR,), client_id_prefix="a b")
    assert "a switch needs a scope" in armed(BINANCE)
    assert "keeps its countdown by pair" in armed(BINANCE_USDM, client_order_ids=("my1",))
    for scope in ({"client_id_prefix": "my"}, {"client_order_ids": ("my1",)}):
        assert "a switch of everything covers" in armed(BINANCE, everything=True, **scope)
    # Where the timer is the account's, or there is none, orders need no pair.
    assert armed(EVERSTRIKE, order_ids=("a1",)) == ""
    # Its open orders can be listed only by pair, which orders that are named do not need.
    assert armed(BITMART, order_ids=("a1",)) == ""
    assert armed(KRAKEN, order_ids=("OABCDE-ABCDE-ABCDEF",)) == ""
    # The timer is only stopped by the check: its shortest setting does not matter.
    timer = (
        replace(INDODAX.capabilities.timer, shortest_ms=5) if INDODAX.capabilities.timer else None
    )
    assert armed(capable(INDODAX, timer=timer), pairs=("btc_idr",)) == ""
    assert armed(EXCHANGES["gate"], pairs=("BTC_USDT",)) == ""
    unlisted = capable(BINANCE, commands=BINANCE.capabilities.commands - {ListOpenOrders})
    assert armed(unlisted, pairs=(PAIR,)) != ""
    assert armed(unlisted, client_id_prefix="my") != ""
    assert armed(capable(EVERSTRIKE, commands=frozenset({CancelOrder})), order_ids=("a1",)) == ""


TRACKED: list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = [
    ("binance", (PAIR,), ("7", "8"), (), PAIR),
    ("binance", (PAIR,), (), ("my1",), PAIR),
    ("binance", (PAIR,), ("7",), ("my1",), PAIR),
    ("everstrike", ("btc_idr",), ("a1",), (), ""),
    ("everstrike", (), ("a1",), (), ""),
    ("everstrike", ("btc_idr", "eth_idr"), ("a1",), (), ""),
    ("everstrike", (), (), (), ""),
]


@pytest.mark.parametrize(("name", "pairs", "order_ids", "client_ids", "named"), TRACKED)
def test_the_only_pair_is_named_with_orders_that_need_one(
    name: str,
    pairs: tuple[str, ...],
    order_ids: tuple[str, ...],
    client_ids: tuple[str, ...],
    named: str,
) -> None:
    """It is left out where ids suffice, so that one job serves them all."""
    assert check_tracked(EXCHANGES[name], pairs, order_ids, client_ids) == named


def test_orders_that_could_not_be_canceled_are_refused() -> None:
    """The one pair is missing, or the id is none of the exchange's."""
    for pairs in ((), (PAIR, "ETHUSDT")):
        with pytest.raises(InvalidCommand, match="needs the pair"):
            check_tracked(BINANCE, pairs, ("7",), ())
    for order_ids in (("x",), ("", "7")):
        with pytest.raises(InvalidCommand):
            check_tracked(BINANCE, (PAIR,), order_ids, ())
    with pytest.raises(InvalidCommand, match="not an order id"):
        check_tracked(BINANCE, (PAIR,), ("7", "x"), ())
    with pytest.raises(InvalidCommand, match="not a client order id"):
        check_tracked(BINANCE, (PAIR,), ("7",), ("a b",))


class ByOrderId:
    """An exchange that needs the pair of orders that are named by its own ids alone."""

    def check(self, command: CancelOrder) -> None:
        """Refuse such an order without a pair."""
        if command.order_id and command.pair is None:
            raise InvalidCommand("needs the pair")


def test_a_pair_that_one_order_needs_is_named_with_all() -> None:
    """A later order that does not need it changes nothing."""
    exchange: Any = ByOrderId()
    assert check_tracked(exchange, (PAIR,), ("7",), ("my1",)) == PAIR
    assert check_tracked(exchange, (PAIR,), (), ("my1",)) == ""
