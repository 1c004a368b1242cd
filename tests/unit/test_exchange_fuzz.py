"""No reply crashes an adapter, and none but the proof itself counts as proof."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.commands import (
    CancelOrder,
    CancelOrders,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.exchanges import EXCHANGES
from worker.outcomes import (
    Answer,
    Closed,
    ClosedMany,
    CountdownSet,
    OpenOrders,
    OrderReport,
    Outcome,
    ScopeCanceled,
    TokenGrant,
    Unproven,
)
from worker.wire import Reply

ORDER = "1223181"
SECRET = "da78a39e9dda31c399bcc293d997a347dc7fd0408cb5151931243a302b273ec3238510ea61e11f7c"

COMMANDS = st.sampled_from(
    [
        CancelOrder(ORDER, pair="btc_idr", side="buy"),
        CancelOrder(""),
        CancelOrders((ORDER, "2")),
        CancelOrders(()),
        CancelScope("btc_idr", "buy"),
        QueryOrder(ORDER, pair="btc_idr"),
        ListOpenOrders("btc_idr", "buy"),
        ListOpenOrders(),
        SetCountdown(("btc_idr",), 1_000),
        FetchToken(),
    ]
)
STATUSES = st.sampled_from([200, 200, 200, 401, 404, 408, 429, 500, 503]) | st.integers(100, 999)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(max_size=12))

# Values that stand where the documents have theirs: the right ones, near misses, anything.
IDS = st.sampled_from([ORDER, int(ORDER), "2", 2, "", None, True, 1223181.0, f" {ORDER}", [ORDER]])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ACTIVE", "CANCELLED", "COMPLETED", "open", "cancelled", "btc_idr", "buy"])
    | st.sampled_from([0, 1, 2, 3, 4, 200, 414, SECRET, f"key {SECRET} refused", "invalid order."])
)
KEYS = st.sampled_from(
    [
        *("code", "msg", "result", "id", "status", "pair", "side"),
        *("success", "return", "error", "error_code", "order_id", "order", "orders", "type"),
        *("message", "entrust_id", "symbol", "access_token", "expires_in", "total_pages"),
    ]
)
JSON = st.recursive(
    SCALARS | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
ORDERS = st.fixed_dictionaries(
    {"id": IDS, "order_id": IDS, "entrust_id": IDS, "status": SCALARS}, optional={"pair": SCALARS}
)
ENVELOPES = st.one_of(
    st.fixed_dictionaries({"code": st.just(200) | SCALARS, "result": ORDERS | st.lists(ORDERS)}),
    st.fixed_dictionaries({"success": st.just(1) | SCALARS, "return": ORDERS | JSON}),
    st.fixed_dictionaries({"success": st.just(0), "error": SCALARS, "error_code": SCALARS}),
    st.fixed_dictionaries({"access_token": SCALARS, "expires_in": SCALARS}),
    ORDERS,
    st.just({}),
)
BODIES = st.binary(max_size=64) | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode())


REPLIES = st.builds(Reply, STATUSES, HEADERS, BODIES, st.integers())


def is_one(value: object, wanted: int) -> bool:
    """Tell a JSON integer from its likes."""
    return type(value) is int and value == wanted


def proof_of_everstrike(body: Any) -> bool:
    """Code 200 with the order's id is the proof."""
    return is_one(body["code"], 200) and bool(body["result"]["id"] == ORDER)


def proof_of_indodax(body: Any) -> bool:
    """Success with the order's id, as text or number, is the proof."""
    order_id = body["return"]["order_id"]
    return is_one(body["success"], 1) and (order_id == ORDER or is_one(order_id, int(ORDER)))


def proof_of_bitmart(body: Any) -> bool:
    """Nothing but an empty object is the proof."""
    return isinstance(body, dict) and not body


PROOFS: dict[str, Callable[[Any], bool]] = {
    "bitmart": proof_of_bitmart,
    "everstrike": proof_of_everstrike,
    "indodax": proof_of_indodax,
}
FITTING: dict[type[Answer], type[Command]] = {
    Closed: CancelOrder,
    ClosedMany: CancelOrders,
    ScopeCanceled: CancelScope,
    OrderReport: QueryOrder,
    OpenOrders: ListOpenOrders,
    CountdownSet: SetCountdown,
    TokenGrant: FetchToken,
}


@pytest.mark.parametrize("name", sorted(EXCHANGES))
@given(command=COMMANDS, reply=REPLIES)
@settings(max_examples=400, deadline=None)
def test_any_reply_is_read_and_none_is_believed_without_proof(
    name: str, command: Command, reply: Reply
) -> None:
    """Whatever comes back, the answer fits the command, is safe to show, and is earned."""
    answer = EXCHANGES[name].classify(command, reply)
    assert isinstance(answer, get_args(Answer))
    detail = getattr(answer, "detail", "")
    assert len(detail) <= 200
    assert detail.isprintable()
    assert SECRET[:20] not in detail
    if isinstance(answer, Unproven):
        assert not answer.outcome.proven
        return
    assert isinstance(command, FITTING[type(answer)])
    assert type(command) in EXCHANGES[name].capabilities.commands
    assert reply.status == 200 or (reply.status == 404 and isinstance(answer, OrderReport))
    match answer:
        case Closed(outcome=outcome):
            assert outcome.proven
            assert PROOFS[name](json.loads(reply.body))
        case ClosedMany(outcomes=outcomes):
            assert isinstance(command, CancelOrders)
            assert outcomes
            assert set(outcomes) <= set(command.order_ids)
            assert all(outcome.proven for outcome in outcomes.values())
        case OpenOrders(orders=orders):
            for order in orders:
                EXCHANGES[name].check(CancelOrder(order.order_id, order.pair, order.side))
        case _:
            pass


PROVING = {
    "bitmart": b"{}",
    "everstrike": b'{"code":200,"msg":"","result":{"status":"ACTIVE","id":"1223181"}}',
    "indodax": b'{"success":1,"return":{"order_id":1223181,"pair":"btc_idr"}}',
}


@pytest.mark.parametrize("name", sorted(EXCHANGES))
def test_a_reply_cut_short_proves_nothing(name: str) -> None:
    """The whole reply is proof; no part of it, and no byte more, is."""
    cancel = CancelOrder(ORDER, pair="btc_idr", side="buy")
    whole = PROVING[name]

    def outcome(body: bytes) -> Outcome:
        answer = EXCHANGES[name].classify(cancel, Reply(200, {}, body, 0))
        assert isinstance(answer, Closed | Unproven)
        return answer.outcome

    assert outcome(whole) is Outcome.CANCELED
    for end in range(len(whole)):
        assert outcome(whole[:end]) is Outcome.UNKNOWN
    assert outcome(whole + b"}") is Outcome.UNKNOWN
    assert outcome(whole + whole) is Outcome.UNKNOWN


@pytest.mark.parametrize("name", sorted(EXCHANGES))
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"1" * 10_000], ids=len)
def test_monstrous_json_is_unknown(name: str, body: bytes) -> None:
    """Nesting and numbers beyond what Python reads are one more unknown reply."""
    answer = EXCHANGES[name].classify(CancelOrder(ORDER, "a_b", "buy"), Reply(200, {}, body, 0))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
