"""Names of lanes: what they are made of can be read back, and kinds are distinguished."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.exchanges import EXCHANGES, ccxt_names
from worker.model.names import (
    account_of,
    exchange_name,
    exchange_of,
    is_switch_lane,
    jobs_lane,
    key_name,
    lane_of,
    switch_lane,
)

ALIASES = st.one_of(
    st.sampled_from(["switch", "orders", "refresh", "next", "urgent", "lane", "due"]),
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True),
)
NAMES = st.one_of(
    st.sampled_from([*sorted(EXCHANGES), *ccxt_names()]), st.sampled_from(["switch", "due", "lane"])
)


@given(NAMES, ALIASES)
def test_a_lane_gives_back_what_it_is_made_of(exchange: str, account: str) -> None:
    """Whatever the alias is, both lanes name its exchange and its account."""
    lane = lane_of(exchange, account)
    for name in (lane, switch_lane(lane)):
        assert (exchange_of(name), account_of(name)) == (exchange, account)
        assert jobs_lane(name) == lane


@given(NAMES, ALIASES)
def test_no_alias_makes_a_lane_one_of_switches(exchange: str, account: str) -> None:
    """The kind of a lane does not depend on what a user calls an account."""
    assert not is_switch_lane(lane_of(exchange, account))
    assert is_switch_lane(switch_lane(lane_of(exchange, account)))


@given(st.tuples(NAMES, ALIASES), st.tuples(NAMES, ALIASES))
def test_two_accounts_share_no_lane(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Neither by their jobs nor by their switches."""
    lanes = {lane_of(*one), lane_of(*other)}
    names = lanes | {switch_lane(lane) for lane in lanes}
    assert len(names) == (2 if one == other else 4)


def test_an_old_lane_of_odd_form_can_be_shown() -> None:
    """Records outlive the rules for names."""
    assert (exchange_of(""), account_of("")) == ("", "")
    assert (exchange_of("everstrike"), account_of("everstrike")) == ("everstrike", "")
    assert (exchange_of("a:b:c"), account_of("a:b:c")) == ("a", "b:c")


def test_no_exchange_has_a_separator_in_its_name() -> None:
    """Names are taken apart there."""
    assert [name for name in EXCHANGES if ":" in name or "." in name] == []


def test_an_exchange_of_ccxt_is_written_without_a_separator() -> None:
    """Lanes, queues and keys of limits hold it so; people see the name of the settings."""
    assert lane_of("ccxt:bitvavo", "kc") == "ccxt.bitvavo:kc"
    written = [key_name(name) for name in ccxt_names()]
    assert [name for name in written if ":" in name] == []
    assert [exchange_name(name) for name in written] == ccxt_names()
