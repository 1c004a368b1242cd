"""What OKX's replies mean: `{"code": "0", "msg": "", "data": […]}`.

An order of its own has `sCode` beside it: "sCode = 0 … not strictly considered" canceled.
Some codes stand for several fates of an order, and those prove none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.exchanges.base import MINUTE_MS
from worker.exchanges.checks import NUMBER_ID
from worker.exchanges.okx import algos
from worker.exchanges.pair_rows import read_pairs
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    id_text,
    read_json,
    readable,
    refused,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.exchanges.rows import Rows, not_known
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    CountdownSet,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    Unproven,
)
from worker.model.wire import Reply

OK: Final = 200
BAD_REQUEST: Final = 400
PAGE_ROWS: Final = 100
TIMER: Final = Timer(
    reach=Reach.ACCOUNT,
    pairs_max=1,
    unit_ms=1_000,
    shortest_ms=10_000,
    longest_ms=2 * MINUTE_MS,
    fires_within_ms=5_000,
    leaves_stops=True,
    windowed=False,
    echoes=True,
)
"""Whether it reaches algo orders is not documented. Orders are canceled one after another
once it fires, over seconds."""
STATES: Final[Mapping[str, OrderState]] = {
    "live": OrderState.OPEN,
    "partially_filled": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "mmp_canceled": OrderState.CANCELED,
}
ROWS: Final = Rows(
    order_id="ordId",
    pair="instId",
    status="state",
    client_id="clOrdId",
    ids=NUMBER_ID,
    states=STATES,
    page=PAGE_ROWS,
    pages="last id",
)
CANCEL_UNKNOWN: Final = "51400"
""""Cancellation failed as the order has been filled, canceled or does not exist"."""
CANCELING: Final = "51410"
NO_SUCH_ORDER: Final = "51603"
CLOCK: Final = "50102"
SECONDS_MAX: Final = 10**11
"""A larger time is in ms: the documents name ms and show seconds."""
ECHO_SLACK_MS: Final = 1_000
BY_CODE: Final[Mapping[str, Outcome]] = {
    "50001": Outcome.UNAVAILABLE,
    "50004": Outcome.UNKNOWN,
    "50011": Outcome.THROTTLED,
    "50013": Outcome.THROTTLED,
    "50026": Outcome.UNAVAILABLE,
    "50061": Outcome.THROTTLED,
    **{str(code): Outcome.UNAUTHORIZED for code in range(50103, 50115)},
    "50120": Outcome.UNAUTHORIZED,
    "51001": Outcome.REJECTED,
}


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    code, row = text_at(body, "code"), _only_row(body)
    if reply.status == OK and code == "0" and text_at(row, "sCode") in ("", "0"):
        answer = _read(command, body, row)
        return answer or unknown(reply, body, "not the documented reply to what was asked")
    failed = text_at(row, "sCode") if code in ("0", "1", "2") else code
    if failed in ("", "0"):
        return refused(reply, body)
    words = text_at(row, "sMsg") or text_at(body, "msg")
    return _read_error(command, reply, body, failed, words)


def _only_row(body: object) -> object:
    data = at(body, "data")
    return data[0] if isinstance(data, list) and len(data) == 1 else None


def _read_error(command: Command, reply: Reply, body: object, code: str, words: str) -> Answer:
    detail = readable(f"HTTP {reply.status}: {code} {words}")[:DETAIL_MAX_CHARS]
    if code == CLOCK:
        return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
    if isinstance(command, ListStopOrders) and reply.status in (OK, BAD_REQUEST):
        listed = algos.read_refusal(command, f"{code}: {words}")
        if listed is not None:
            return listed
    if reply.status == OK and code == CANCEL_UNKNOWN and isinstance(command, CancelOrder):
        return not_known(command, detail)
    if reply.status == OK and code == NO_SUCH_ORDER and isinstance(command, QueryOrder):
        return not_known(command, detail)
    canceling = isinstance(command, CancelOrder) and code == CANCELING
    if reply.status == OK and canceling and _names(_only_row(body), command):
        return CancelAccepted(detail)
    outcome = BY_CODE.get(code)
    if outcome is None:
        answer = refused(reply, body)
        return Unproven(answer.outcome, detail, retry_after_ms=answer.retry_after_ms)
    wait_ms = refused(reply, body).retry_after_ms if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


def _read(command: Command, body: object, row: object) -> Answer | None:
    match command:
        case (
            CancelOrder(stop=True, client_order_id=None)
            | QueryOrder(stop=True, client_order_id=None)
        ):
            return algos.read_order(command, row)
        case CancelOrder() if text_at(row, "sCode") == "0" and _names(row, command):
            return CancelAccepted()
        case QueryOrder(pair=str(pair)) if _names(row, command) and _is_pair(row, pair):
            state = STATES.get(word_at(row, "state"))
            return OrderReport(state) if state else None
        case ListOpenOrders():
            rows = at(body, "data")
            return ROWS.read(command, rows) if isinstance(rows, list) else None
        case ListStopOrders():
            rows = at(body, "data")
            return algos.read_list(command, rows) if isinstance(rows, list) else None
        case ListPairs(part=kind):
            # Some of the exchange's sites have no derivatives.
            none = kind != "SPOT" and at(body, "data") == []
            return PairList(()) if none else read_pairs(at(body, "data"), "instId")
        case SetCountdown(countdown_ms=countdown_ms):
            return CountdownSet() if _stands_at(row, countdown_ms) else None
        case _:
            return None


def _names(row: object, command: Command) -> bool:
    """Return whether a row is about the order that was asked for."""
    match command:
        case (
            CancelOrder(client_order_id=str(client_id)) | QueryOrder(client_order_id=str(client_id))
        ):
            return text_at(row, "clOrdId") == client_id
        case CancelOrder(order_id=order_id) | QueryOrder(order_id=order_id):
            return same_id(at(row, "ordId"), order_id)
        case _:
            return False


def _is_pair(row: object, pair: str) -> bool:
    return text_at(row, "instId").casefold() == pair.casefold()


def _stands_at(row: object, countdown_ms: int) -> bool:
    """Return whether the reply states the countdown that was asked for; "0" is off."""
    fires, now = _time_ms(row, "triggerTime"), _time_ms(row, "ts")
    if fires is None or now is None:
        return False
    if not countdown_ms:
        return fires == 0
    return now > 0 and abs(fires - now - countdown_ms) <= ECHO_SLACK_MS


def _time_ms(row: object, key: str) -> int | None:
    text = id_text(at(row, key))
    if not text.isascii() or not text.isdigit() or len(text) > 15:  # noqa: PLR2004  Unix ms
        return None
    return int(text) if int(text) > SECONDS_MAX else int(text) * 1_000
