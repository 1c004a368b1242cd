"""How a switch's record names what it covers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.model.switch_scopes import (
    order_names,
    read_items,
    read_names,
    scope_items,
    shown_items,
)

PAIRS = st.lists(st.from_regex(r"[A-Za-z0-9_.@:#-]{1,12}", fullmatch=True), unique=True, max_size=4)
IDS = st.lists(st.from_regex(r"[!-~]{1,12}", fullmatch=True), unique=True, max_size=4)
PREFIX = st.from_regex(r"[!-~]{1,36}", fullmatch=True)


@given(PAIRS, PREFIX)
def test_pairs_and_prefix_are_read_as_written(pairs: list[str], prefix: str) -> None:
    """A prefix without pairs bounds the whole account, and needs a name too."""
    items = scope_items(pairs, prefix)
    assert len(items) == max(1, len(pairs))
    assert not set("".join(items)) & {" ", ",", "|"}
    assert read_items(items) == (tuple(pairs), prefix)
    assert read_items(scope_items(pairs, None)) == (tuple(pairs), "")


@given(IDS, IDS)
def test_orders_are_read_as_written(by_id: list[str], by_client: list[str]) -> None:
    """The same text as the exchange's id and as the client's is two names."""
    names = order_names(by_id, by_client)
    assert len(set(names)) == len(by_id) + len(by_client)
    assert read_names(names) == (tuple(sorted(by_id)), tuple(sorted(by_client)))


def test_names_are_shown_in_words() -> None:
    """Whatever else a text holds stays."""
    text = " ".join([*scope_items(["btc_idr"], "grid_1"), *scope_items([], "m"), "eth_idr", "a1"])
    shown = "btc_idr (client ids from grid_1) all pairs (client ids from m) eth_idr a1"
    assert shown_items(text) == shown
