"""Switches as a strategy holds them: the `with` block, disarming twice, wrong input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.support.awaited import KINDS, makers
from worker import Producer, SwitchOverlap, SwitchReplaced, UnknownAccount
from worker.config.settings import Settings
from worker.errors import InvalidCommand, SwitchDisarmed, SwitchUnknown

SECRETS = {"api_key": "key-0123456789", "api_secret": "secret-0123456789"}
ACCOUNTS = {
    "ix": {"exchange": "indodax", **SECRETS},
    "ev": {"exchange": "everstrike", **SECRETS},
    "bm": {"exchange": "bitmart", **SECRETS, "memo": "memo-0123456789"},
}
T_MS = 60_000
PATIENCE_MS = 30_000
"""How long a call waits for Redis: a machine under load answers late."""


@pytest.fixture(params=KINDS)
def producer(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Producer]:
    """A strategy's producer; no worker runs."""
    with makers(request.param) as make:
        yield make(Settings(redis_url=redis_url, redis_timeout_ms=PATIENCE_MS, accounts=ACCOUNTS))


@pytest.mark.parametrize("alias", ["ev", "ix"])
def test_a_clean_exit_disarms(producer: Producer, alias: str) -> None:
    """Leaving the block by its end disarms; the holder learns so."""
    with producer.countdown(alias, pairs=["a_x"], timeout_ms=T_MS) as switch:
        assert T_MS - 1_000 < switch.beat().left_ms <= T_MS
    record = switch.record()
    assert record is not None
    assert record.state == "disarmed"
    with pytest.raises(SwitchDisarmed):
        switch.beat()
    switch.disarm()
    switch.disarm()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_exception_leaves_it_armed(producer: Producer, error: type[BaseException]) -> None:
    """A crash must not disarm: the orders come off at the deadline."""
    switch = producer.countdown("ev", order_ids=["a1"], timeout_ms=T_MS)
    with pytest.raises(error), switch:
        raise error
    record = switch.record()
    assert record is not None
    assert record.state == "armed"


def test_a_clean_exit_of_a_replaced_holder_raises(producer: Producer) -> None:
    """Its successor's switch stays armed, and the block's end says why it did nothing."""
    with (
        pytest.raises(SwitchReplaced),
        producer.countdown("ix", pairs=["a_x"], timeout_ms=T_MS),
    ):
        later = producer.arm("ix", pairs=["a_x"], timeout_ms=T_MS)
    assert T_MS - 1_000 < later.beat().left_ms <= T_MS


def test_one_who_was_replaced_never_disarms_its_successor(producer: Producer) -> None:
    """Replaced, or disarmed and armed again elsewhere, an old holder's word does not count."""
    first = producer.arm("ix", pairs=["a_x"], timeout_ms=T_MS)
    first.disarm()
    second = producer.arm("ix", pairs=["a_x"], timeout_ms=T_MS)
    for call in (first.disarm, first.beat):
        with pytest.raises(SwitchReplaced):
            call()
    second.beat()
    second.disarm()
    with pytest.raises(SwitchReplaced):
        first.disarm()


def test_overlap_names_the_other_switch(producer: Producer) -> None:
    """The refusal names which switch to disarm, and what it holds."""
    switch = producer.arm("ix", pairs=["a_x", "b_x"], timeout_ms=T_MS)
    with pytest.raises(SwitchOverlap, match=f"{switch.id}.*a_x,b_x"):
        producer.arm("ix", pairs=["b_x"], timeout_ms=T_MS)
    one = producer.arm("ev", order_ids=["a1"], timeout_ms=T_MS)
    other = producer.arm("ev", order_ids=["a2"], timeout_ms=T_MS)
    with pytest.raises(SwitchOverlap, match=one.id):
        other.track("a1")


def test_a_lost_redis_raises(producer: Producer, redis_url: str) -> None:
    """When Redis has lost its data, the next beat says so instead of reviving anything."""
    switch = producer.arm("ev", pairs=["a_x"], timeout_ms=T_MS)
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    for call in (switch.beat, switch.disarm):
        with pytest.raises(SwitchUnknown):
            call()
    left: Any = client.keys("*")
    assert set(left) <= {b"cx:clock"}
    client.close()


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no scope": ("ev", {}),
    "a text for a list of pairs": ("ev", {"pairs": "a_x"}),
    "a text for a list of orders": ("ev", {"order_ids": "a1"}),
    "a set": ("ev", {"pairs": {"a_x"}}),
    "no pair where the exchange counts by pair": ("ix", {"order_ids": ["1"]}),
    "no name": ("ix", {"pairs": [""]}),
    "two names in one": ("ix", {"pairs": ["a_x,b_x"]}),
    "a number for a pair": ("ix", {"pairs": [7]}),
    "a list for a pair": ("ev", {"pairs": [["a_x"]]}),
    "no order id": ("ev", {"order_ids": [""]}),
    "a number for an order": ("ev", {"order_ids": [7]}),
    "a space in an order id": ("ev", {"order_ids": ["a 1"]}),
    "one wrong of many": ("ev", {"order_ids": ["a1", "a2", ""]}),
    "a timeout of 0": ("ev", {"pairs": ["a_x"], "timeout_ms": 0}),
    "a timeout below": ("ev", {"pairs": ["a_x"], "timeout_ms": -1}),
    "too short a timeout": ("ev", {"pairs": ["a_x"], "timeout_ms": 999}),
    "too long a timeout": ("ev", {"pairs": ["a_x"], "timeout_ms": 86_400_001}),
    "seconds": ("ev", {"pairs": ["a_x"], "timeout_ms": 30.0}),
    "a truth for a timeout": ("ev", {"pairs": ["a_x"], "timeout_ms": True}),
    "an empty name": ("ev", {"pairs": ["a_x"], "name": ""}),
    "a space in a name": ("ev", {"pairs": ["a_x"], "name": "grid btc"}),
    "too long a name": ("ev", {"pairs": ["a_x"], "name": "n" * 65}),
    "a number for a name": ("ev", {"pairs": ["a_x"], "name": 7}),
    "a swap without a name": ("ev", {"pairs": ["a_x"], "replace": True}),
    "a swap of too much": (
        "ev",
        {"order_ids": [str(n) for n in range(20_001)], "name": "grid", "replace": True},
    ),
    "a text for a timeout": ("ev", {"pairs": ["a_x"], "timeout_ms": "30000"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_arms_nothing(producer: Producer, redis_url: str, case: str) -> None:
    """One line says what is wrong; Redis holds no more than before."""
    alias, options = WRONG[case]
    client = redis.Redis.from_url(redis_url)
    with pytest.raises(InvalidCommand) as raised:
        producer.arm(alias, **{"timeout_ms": T_MS, **options})
    assert len(str(raised.value).splitlines()) == 1
    assert client.dbsize() == 0
    client.close()


def test_a_switch_is_found_by_its_name(producer: Producer) -> None:
    """While it is armed; a second scope needs another name, or replaces it."""
    with producer.countdown("ev", order_ids=["a1"], timeout_ms=T_MS, name="grid-1") as switch:
        found = producer.switch(name="grid-1", account="ev")
        assert (found.id, found.name, found.epoch) == (switch.id, "grid-1", 0)
        assert producer.switch(switch.id).name == "grid-1"
        with pytest.raises(SwitchOverlap, match="name grid-1 and covers another scope"):
            producer.arm("ev", order_ids=["b1"], timeout_ms=T_MS, name="grid-1")
    with pytest.raises(SwitchUnknown, match="no armed switch of account ev has the name 'grid-1'"):
        producer.switch(name="grid-1", account="ev")
    producer.arm("ev", order_ids=["a1"], timeout_ms=T_MS, name="grid-1")
    other = producer.arm("ev", order_ids=["b1"], timeout_ms=T_MS, name="grid-1", replace=True)
    assert producer.switch(name="grid-1", account="ev").id == other.id
    incomplete: list[dict[str, Any]] = [{}, {"name": "grid-1"}, {"account": "ev"}]
    for wrong in incomplete:
        with pytest.raises(InvalidCommand, match="give the id of a switch, or its name"):
            producer.switch(**wrong)


def test_an_unknown_account_arms_nothing(producer: Producer, redis_url: str) -> None:
    """Whatever is given for an alias, nothing is armed."""
    client = redis.Redis.from_url(redis_url)
    for alias in ("nobody", "", "IX", None, 7):
        with pytest.raises(UnknownAccount):
            producer.arm(alias, pairs=["a_x"], timeout_ms=T_MS)  # type: ignore[arg-type]
    assert client.dbsize() == 0
    client.close()


def test_wrong_orders_are_not_tracked(producer: Producer) -> None:
    """None of a list is tracked if one of it could not be canceled by its id."""
    switch = producer.arm("ev", order_ids=["a1"], timeout_ms=T_MS)
    for order_ids in ((), ("a2", ""), ("a2", "a 3")):
        with pytest.raises(InvalidCommand):
            switch.track(*order_ids)
    record = switch.record()
    assert record is not None
    assert record.order_ids == ("a1",)
    native = producer.arm("ix", pairs=["a_x"], timeout_ms=T_MS)
    with pytest.raises(InvalidCommand):
        native.track("1")  # a cancel needs its pair and side there
