"""What Hyperliquid's replies mean: `{"status": "ok" | "err", "response": …}`, or a plain document.

An action's errors are texts. "Order was never placed, already canceled, or filled." stands for
three fates of an order and proves none of them.
"""

from __future__ import annotations

import re
from typing import Final

from worker.exchanges.base import IdForm
from worker.exchanges.hyperliquid import dexs
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    id_text,
    in_scope,
    read_json,
    readable,
    refused,
    same_id,
    text_at,
    unknown,
)
from worker.exchanges.rows import not_known
from worker.model.commands import (
    CancelOrder,
    Command,
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
from worker.model.pairs import ListedPair
from worker.model.wire import Reply

OK: Final = 200
MALFORMED: Final = 422
ORDER_ID: Final = IdForm(re.compile(r"[1-9][0-9]{0,18}"), "digits", longest=19)
CLIENT_ID: Final = IdForm(
    re.compile(r"0x[0-9a-f]{32}"),
    "the form 0x and 32 hexadecimal digits in lower case",
    longest=34,
    begins=re.compile(r"0x[0-9a-f]{0,32}"),
)
OUTCOME: Final = re.compile(r"#(0|[1-9][0-9]{0,8})")
"""An outcome market (HIP-4), by ten times its number and the side."""
FIRST_OUTCOME_ASSET: Final = 100_000_000
COIN: Final = re.compile(
    rf"[A-Za-z0-9]{{1,32}}|{dexs.NAME.pattern}:[A-Za-z0-9_.-]{{1,32}}|@[0-9]{{1,6}}"
    rf"|{OUTCOME.pattern}"
)
"""A perpetual is named by its coin, a spot market by its number."""
FIRST_SPOT: Final = "PURR/USDC"
"""The one spot market that the exchange names by its coins; it is number 0."""
PERPETUALS: Final = "meta"
SPOT: Final = "spotMeta"
"""The two lists of markets."""
FIRST_SPOT_ASSET: Final = 10_000
SIDES: Final = {"B": "buy", "A": "sell"}
""""B" is a bid and "A" an ask."""
MISSING: Final = "Order was never placed, already canceled, or filled"
TRADED_MIN: Final = 1_000_000
"""What an account must have traded for a timer, in USDC, by the words of a refusal."""
VOLUME: Final = re.compile(r"([0-9]{1,15})(\.[0-9]{1,20})?")
UNTRADED: Final = "Cannot set scheduled cancel time until enough volume traded"
SPENT_MS: Final = 10_000
""""Once rate limited, an address is allowed one request every 10 seconds."""
REFUSALS: Final[tuple[tuple[str, Outcome], ...]] = (
    ("User or API Wallet ", Outcome.UNAUTHORIZED),
    ("Must deposit before performing actions", Outcome.UNAUTHORIZED),
    ("Too many cumulative requests sent", Outcome.THROTTLED),
    ("Invalid nonce", Outcome.UNAVAILABLE),
)
"""How texts begin, and what they mean."""


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    if reply.status == MALFORMED:
        # "Failed to deserialize the JSON body into the target type": nothing was carried out.
        return Unproven(Outcome.REJECTED, refused(reply, body).detail)
    if reply.status != OK:
        return refused(reply, body)
    text = at(body, "response")
    if text_at(body, "status") == "err" and isinstance(text, str):
        return _read_error(command, text)
    answer = _read(command, body)
    return answer or unknown(reply, body, "not the documented reply to what was asked")


def _read_error(command: Command, text: str) -> Answer:
    """Read why an action was refused as a whole."""
    words = text.removeprefix("L1 error: ")
    detail = readable(text)[:DETAIL_MAX_CHARS]
    if isinstance(command, CancelOrder) and words.startswith(MISSING):
        return not_known(command, detail)
    if isinstance(command, SetCountdown) and words.startswith(UNTRADED):
        # What an account has traded only grows: it never had a timer that could be running.
        stopped = not command.countdown_ms
        return CountdownSet() if stopped else Unproven(Outcome.REJECTED, detail, timer_denied=True)
    outcome = next((each for start, each in REFUSALS if words.startswith(start)), None)
    return Unproven(
        outcome or Outcome.UNKNOWN,
        detail,
        retry_after_ms=SPENT_MS if outcome is Outcome.THROTTLED else None,
        nonce_floor=0 if outcome is Outcome.UNAVAILABLE else None,
    )


def _read(command: Command, body: object) -> Answer | None:
    match command:
        case CancelOrder():
            return _read_cancel(command, body)
        case QueryOrder():
            return _read_order(command, body)
        case ListOpenOrders(after=dexs.ASK):
            found = dexs.read_dexs(body)
            return OpenOrders((), found.all, found.next) if found else None
        case ListOpenOrders():
            return _read_list(command, body) if isinstance(body, list) else None
        case ListPairs(part="spotMeta"):
            return _read_spot(body)
        case ListPairs(after=dexs.ASK):
            found = dexs.read_dexs(body)
            return PairList((), found.next) if found else None
        case ListPairs(after=after):
            return _read_perpetuals(body, after)
        case ReadTimer():
            return _read_traded(body)
        case SetCountdown():
            is_set = text_at(body, "status") == "ok"
            is_set = is_set and text_at(body, "response", "type") == "default"
            return CountdownSet() if is_set else None
        case _:
            return None


def _read_traded(body: object) -> TimerReading | None:
    """Read what an account has traded over its life: that decides whether it has a timer."""
    traded = VOLUME.fullmatch(text_at(body, "cumVlm"))
    if traded is None:
        return None
    if int(traded[1]) >= TRADED_MIN:
        return TimerReading()
    return TimerReading(denied=f"it has traded {traded[1]} USDC of {TRADED_MIN}")


def _read_cancel(command: CancelOrder, body: object) -> Answer | None:
    """Read the result of the one order that was named; the reply repeats no id."""
    statuses = at(body, "response", "data", "statuses")
    if text_at(body, "status") != "ok" or not isinstance(statuses, list) or len(statuses) != 1:
        return None
    (status,) = statuses
    if status == "success" and text_at(body, "response", "type") == "cancel":
        return Closed(Outcome.CANCELED)
    text = text_at(status, "error")
    return _read_error(command, text) if text else None


def _read_order(command: QueryOrder, body: object) -> Answer | None:
    if text_at(body, "status") == "unknownOid":
        return OrderReport(OrderState.MISSING, "the exchange knows no such order")
    order = at(body, "order", "order")
    named = (
        text_at(order, "cloid") == command.client_order_id
        if command.client_order_id
        else same_id(at(order, "oid"), command.order_id)
    )
    of_pair = command.pair is None or pair_of(order).casefold() == command.pair.casefold()
    if text_at(body, "status") != "order" or not named or not of_pair:
        return None
    state = _state(text_at(body, "order", "status"))
    return OrderReport(state) if state else None


def _state(status: str) -> OrderState | None:
    """Read a status; those that end an order are many, and named by what ended it."""
    if status in ("open", "triggered"):
        return OrderState.OPEN
    if status == "filled":
        return OrderState.FILLED
    if not status.isascii() or not status.isalpha():
        return None
    if status in ("canceled", "scheduledCancel") or status.endswith("Canceled"):
        return OrderState.CANCELED
    # Not open, and by no cancel: the same to the caller as filled.
    return OrderState.FILLED if status == "rejected" or status.endswith("Rejected") else None


def pair_of(row: object) -> str:
    """Return the pair of a row as this program writes it; empty if there is none."""
    coin = text_at(row, "coin")
    return "@0" if coin == FIRST_SPOT else coin


def _read_list(scope: ListOpenOrders, rows: list[object]) -> OpenOrders:
    """Take the open orders of the scope; a row that cannot be read leaves the list incomplete.

    The exchange lists every order of the account on its own markets, and those on markets of
    other exchanges in a list for each: the pages of a list of the account.
    """
    orders: list[OpenOrder] = []
    complete = True
    for row in rows:
        order_id, pair = id_text(at(row, "oid")), pair_of(row)
        side, client_id = SIDES.get(text_at(row, "side"), ""), at(row, "cloid")
        stop = at(row, "isTrigger")
        named = ORDER_ID.pattern.fullmatch(order_id) and COIN.fullmatch(pair)
        if not named or not side or not isinstance(stop, bool):
            complete = False
        if scope.client_id_prefix and not isinstance(client_id, str | None):
            complete = False
            continue
        if named and in_scope(scope, pair, side, client_id if isinstance(client_id, str) else ""):
            orders.append(OpenOrder(order_id, pair, side or None, stop=stop is True))
    return OpenOrders(tuple(orders), complete, "" if scope.pair else dexs.following(scope.after))


def _read_perpetuals(body: object, after: str) -> PairList | None:
    """Read perpetuals: the asset id of each follows from its place in the list.

    A place that cannot be read is none of ours; the others keep theirs. Another exchange may
    have no perpetual yet.
    """
    place, dex = dexs.here(after)
    rows = [] if body is None and place else at(body, "universe")
    if not isinstance(rows, list) or not (rows or place):
        return None
    coins = [text_at(row, "name") for row in rows]
    named = {
        n: coin
        for n, coin in enumerate(coins)
        if COIN.fullmatch(coin) and dexs.dex_of(coin) == dex and n < dexs.ASSETS_EACH
    }
    if len({*named.values()}) != len(named):
        return None
    pairs = (
        ListedPair(coin, _other_names(coin), asset=dexs.asset_of(place, n))
        for n, coin in named.items()
    )
    return PairList(tuple(pairs), dexs.following(after))


def _other_names(coin: str) -> tuple[str, ...]:
    """Return ccxt's name of a perpetual.

    On another exchange what it is quoted in is another exchange's choice, and no part of it.
    """
    if dexs.dex_of(coin):
        return (coin.upper().replace(":", "-"),)
    return (f"{coin}/USDC:USDC",)


def _read_spot(body: object) -> PairList | None:
    """Read the spot markets, which state their number; their coins are told by number, too."""
    rows, tokens = at(body, "universe"), at(body, "tokens")
    if not isinstance(rows, list) or not isinstance(tokens, list) or not rows:
        return None
    names = {id_text(at(token, "index")): text_at(token, "name") for token in tokens}
    pairs: dict[int, ListedPair] = {}
    for row in rows:
        number, coins = at(row, "index"), at(row, "tokens")
        if type(number) is not int or not 0 <= number < FIRST_SPOT_ASSET or number in pairs:
            return None
        told = [names.get(id_text(coin), "") for coin in coins] if isinstance(coins, list) else []
        other = (f"{told[0]}/{told[1]}",) if len(told) == 2 and all(told) else ()  # noqa: PLR2004
        asset = str(FIRST_SPOT_ASSET + number)
        pairs[number] = ListedPair(f"@{number}", other, asset=asset)
    return PairList(tuple(pairs.values()))
