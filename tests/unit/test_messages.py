"""Messages from strangers: read exactly, or refused with a reason of one short line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InvalidCommand, LaterFormat
from worker.model.messages import (
    CancelMessage,
    CountdownMessage,
    is_later,
    read_cancel,
    read_countdown,
)

GOOD = {"account": "ev", "order_id": "a1"}
HUGE = "x" * 10_000_000
REASON_MAX = 300


def test_whole_message_is_read() -> None:
    """Every field has its place."""
    kwargs = {**GOOD, "pair": "btc_idr", "side": "buy", "job": "j1"}
    assert read_cancel((), kwargs) == CancelMessage("ev", "a1", "btc_idr", "buy", "j1")


def test_what_is_left_out_or_null_or_empty_is_none() -> None:
    """Clients in other languages send null or an empty text for nothing."""
    plain = CancelMessage("ev", "a1")
    assert read_cancel((), GOOD) == plain
    for nothing in (None, ""):
        assert read_cancel((), {**GOOD, "pair": nothing, "side": nothing, "job": nothing}) == plain


@pytest.mark.parametrize("order_id", [1, 1223181, 2**53 - 1])
def test_a_whole_number_names_an_order(order_id: int) -> None:
    """Clients in other languages send ids that are numbers as such."""
    assert read_cancel((), {**GOOD, "order_id": order_id}).order_id == str(order_id)


@pytest.mark.parametrize("version", [3, 99, 10**30])
def test_a_later_format_is_left_to_others(version: int) -> None:
    """Whatever else the message says, it is no mistake of its sender's."""
    for kwargs in ({"v": version}, {**GOOD, "v": version, "when": "now"}):
        assert is_later(kwargs)
        with pytest.raises(LaterFormat):
            read_cancel((), kwargs)
        with pytest.raises(LaterFormat):
            read_countdown((), kwargs)


def test_a_message_may_say_that_it_is_of_this_format() -> None:
    """But no nonsense in its place."""
    for version in (1, 2):
        assert read_cancel((), {**GOOD, "v": version}) == CancelMessage("ev", "a1")
    for nonsense in (0, "2", None, 1.5, -3):
        assert not is_later({"v": nonsense})
        with pytest.raises(InvalidCommand, match="unknown argument 'v'"):
            read_cancel((), {**GOOD, "v": nonsense})


def test_an_order_may_be_named_by_its_clients_id() -> None:
    """It is another name than the exchange's id, and only one of them is given."""
    message = read_cancel((), {"account": "ev", "client_order_id": "my-17", "pair": "btc_idr"})
    assert (message.order_id, message.client_order_id) == ("", "my-17")
    with pytest.raises(InvalidCommand, match="not both"):
        read_cancel((), {**GOOD, "client_order_id": "my-17"})
    with pytest.raises(InvalidCommand, match="client_order_id must be text"):
        read_cancel((), {"account": "ev", "client_order_id": 17})


def test_positions_are_read_in_order() -> None:
    """A client may name arguments or not, or some of them."""
    assert read_cancel(("ev", "a1"), {}) == CancelMessage("ev", "a1")
    assert read_cancel(("ev",), {"order_id": "a1"}) == CancelMessage("ev", "a1")
    full = ("ev", "a1", "btc_idr", "buy", "j1")
    assert read_cancel(full, {}) == CancelMessage(*full)


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "account is missing"),
        ((), {"account": "ev"}, "order_id is missing"),
        ((), {"order_id": "a1"}, "account is missing"),
        ((), {**GOOD, "account": None}, "account is missing"),
        ((), {**GOOD, "order_id": ""}, "order_id is missing"),
        ((), {**GOOD, "order_id": 0}, "order_id is missing"),
        ((), {**GOOD, "order_id": []}, "order_id is missing"),
        ((), {**GOOD, "order_id": -1}, "order_id must be text, not int"),
        ((), {**GOOD, "order_id": 2**53}, "give it as text"),
        ((), {**GOOD, "order_id": 1223181.0}, "order_id must be text, not float"),
        ((), {**GOOD, "order_id": ["a1"]}, "order_id must be text, not list"),
        ((), {**GOOD, "order_id": {"a": 1}}, "order_id must be text, not dict"),
        ((), {**GOOD, "order_id": True}, "order_id must be text, not bool"),
        ((), {**GOOD, "order_id": b"a1"}, "order_id must be text, not bytes"),
        ((), {**GOOD, "account": 7}, "account must be text, not int"),
        ((), {**GOOD, "pair": 7}, "pair must be text, not int"),
        ((), {**GOOD, "side": False}, "side must be text, not bool"),
        ((), {**GOOD, "job": 1.5}, "job must be text, not float"),
        ((), {**GOOD, "ordre": "a1"}, "unknown argument 'ordre'"),
        ((), {**GOOD, HUGE: "a1"}, "unknown argument"),
        ((), {**GOOD, "a\nb": "a1"}, r"unknown argument 'a\\nb'"),
        (("ev", "a1", None, None, None, None, None), {}, "7 arguments"),
        (("ev",), GOOD, "account is given twice"),
        ((None, "a1"), {"account": "ev"}, "account is given twice"),
    ],
)
def test_message_that_is_none_is_refused(
    args: tuple[object, ...], kwargs: dict[str, object], words: str
) -> None:
    """The reason names the argument, on one line, and holds none of a huge value."""
    with pytest.raises(InvalidCommand, match=words) as caught:
        read_cancel(args, kwargs)
    text = str(caught.value)
    assert text.startswith("worker.cancel: ")
    assert "\n" not in text
    assert len(text) < REASON_MAX


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    args=st.lists(ANYTHING, max_size=6),
    kwargs=st.dictionaries(
        st.sampled_from(["account", "order_id", "pair", "side", "job"]) | st.text(), ANYTHING
    ),
)
def test_any_message_is_read_or_refused(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Nothing that JSON can hold raises anything else."""
    try:
        message = read_cancel(args, kwargs)
    except InvalidCommand as error:
        reason = str(error)
    else:
        assert message.account
        assert message.order_id
        return
    assert len(reason) < REASON_MAX
    assert reason.isprintable()


SENT_MS = 1_700_000_000_000
COUNTDOWN_GOOD = {"account": "ix", "pairs": ["btc_idr", "eth_idr"], "timeout_ms": 120_000}


def test_whole_countdown_is_read() -> None:
    """Every field has its place; pairs may come as text with commas."""
    wanted = CountdownMessage("ix", ("btc_idr", "eth_idr"), 120_000, SENT_MS)
    assert read_countdown((), {**COUNTDOWN_GOOD, "sent_ms": SENT_MS}) == wanted
    assert read_countdown(("ix", "btc_idr,eth_idr", 120_000, SENT_MS), {}) == wanted
    assert read_countdown((), COUNTDOWN_GOOD).sent_ms is None
    assert read_countdown((), {**COUNTDOWN_GOOD, "timeout_ms": 0}).timeout_ms == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account": None}, "account is missing"),
        ({"account": 7}, "account is missing, or no text"),
        ({"pairs": []}, "pairs must be a list of text"),
        ({"pairs": None}, "pairs must be a list of text"),
        ({"pairs": ["btc_idr", 7]}, "pairs must be a list of text"),
        ({"pairs": {"btc_idr": 1}}, "pairs must be a list of text"),
        ({"pairs": ["p"] * 100_000}, "100000 pairs; at most 1000 in a message"),
        ({"pairs": "p," * 1_000}, "1001 pairs; at most 1000 in a message"),
        ({"timeout_ms": None}, "timeout_ms must be a whole number"),
        ({"timeout_ms": -1}, "timeout_ms must be a whole number"),
        ({"timeout_ms": 1.5}, "timeout_ms must be a whole number"),
        ({"timeout_ms": True}, "timeout_ms must be a whole number"),
        ({"timeout_ms": "1000"}, "timeout_ms must be a whole number"),
        ({"sent_ms": "now"}, "sent_ms must be Unix ms"),
        ({"sent_ms": True}, "sent_ms must be Unix ms"),
        ({"sent_ms": 1_700_000_000}, "not seconds"),
        ({"sent_ms": -1}, "sent_ms must be Unix ms"),
        ({"nosuch": 1}, "unknown argument 'nosuch'"),
    ],
)
def test_countdown_that_is_none_is_refused(change: dict[str, object], words: str) -> None:
    """A countdown is armed only as it was meant."""
    with pytest.raises(InvalidCommand, match=words) as caught:
        read_countdown((), {**COUNTDOWN_GOOD, **change})
    assert str(caught.value).startswith("worker.countdown: ")


@given(
    args=st.lists(ANYTHING, max_size=5),
    kwargs=st.dictionaries(
        st.sampled_from(["account", "pairs", "timeout_ms", "sent_ms"]) | st.text(), ANYTHING
    ),
)
def test_any_countdown_is_read_or_refused(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Nothing that JSON can hold raises anything else."""
    try:
        message = read_countdown(args, kwargs)
    except InvalidCommand as error:
        reason = str(error)
    else:
        assert message.account
        assert message.pairs
        assert message.timeout_ms >= 0
        return
    assert reason.isprintable()
