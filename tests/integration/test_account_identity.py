"""An account is its exchange and its key: aliases of one key share all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.stepped_time import Stepped
from tests.support.switchboard import QUEUE
from tests.support.world import KEYS, World
from worker import Producer, SwitchOverlap, SwitchReplaced, UnknownAccount
from worker.config.settings import Settings
from worker.dispatch.dispatcher import Dispatcher
from worker.factory import build_dispatcher
from worker.model.jobs import Kind, NewJob
from worker.model.limits import Rule
from worker.model.names import lane_of, switch_lane
from worker.model.outcomes import Outcome
from worker.model.settlements import new_id
from worker.model.switches import AT_ONCE, Armed
from worker.store.ledger import Ledger
from worker.store.reading import read
from worker.store.switches import Switches

WITHIN_MS = 30_000
TIMEOUT_MS = 20_000
RULES = (Rule("countdown", 10, 10_000, paced=True),)


@contextmanager
def running(*settings: Settings) -> Iterator[list[Dispatcher]]:
    """Run an engine for each."""
    engines = [build_dispatcher(each) for each in settings]
    for engine in engines:
        engine.start()
        engine.register()
    try:
        yield engines
    finally:
        for engine in engines:
            engine.stop_claiming()
        for engine in engines:
            engine.stop()


def renamed(world: World, alias: str, *names: str, **options: Any) -> list[Settings]:
    """Return settings of one account under each of these names."""
    account = {**world.account(alias), **options}
    return [world.settings(accounts={name: account}) for name in names]


def refused_nonces(world: World) -> tuple[int, int]:
    """Return how many requests were refused for their nonce, and how many had one."""
    journal = [each for each in world.sim.journal() if each.nonce]
    return sum(1 for each in journal if each.refusal == "nonce"), len(journal)


def timers(world: World, alias: str) -> dict[str, float]:
    """Return the exchange's timers of a key: pair, ms until it fires."""
    now_ms = world.sim.now_ms()
    key = KEYS[alias][1]
    return {t.pair: t.fires_at_ms - now_ms for t in world.sim.timers() if t.api_key == key}


def test_two_names_of_one_key_send_one_request_at_a_time(world: World) -> None:
    """As in a rolling restart that renames an account: no nonce is refused."""
    old, new = renamed(world, "ix", "ix", "ix-main")
    with running(old, new):
        ids = world.place("ix", 120, pair="btc_idr")
        tickets = Producer(old).cancel_many("ix", ids[:60], pair="btc_idr", side="buy")
        tickets += Producer(new).cancel_many("ix-main", ids[60:], pair="btc_idr", side="buy")
        outcomes = {ticket.wait(timeout_ms=WITHIN_MS).outcome for ticket in tickets}
    assert outcomes == {Outcome.CANCELED}
    refused, sent = refused_nonces(world)
    assert refused == 0
    assert sent >= len(ids)


def test_what_waits_under_the_former_name_is_served_under_the_new_one(world: World) -> None:
    """Jobs and switches of a renamed account continue."""
    old, new = renamed(world, "ix", "ix", "ix-main")
    with running(old):
        pass
    (order_id,) = world.place("ix", pair="btc_idr")
    (guarded,) = world.place("ix", pair="eth_idr")
    producer = Producer(old)
    switch = producer.arm("ix", pairs=["eth_idr"], timeout_ms=4_000)
    ticket = producer.cancel("ix", order_id, pair="btc_idr", side="buy")
    with running(new):
        assert ticket.wait(timeout_ms=WITHIN_MS).outcome is Outcome.CANCELED
        eventually(lambda: timers(world, "ix"), what="the timer is set")
        eventually(lambda: world.status("ix", guarded) == "canceled", what="canceled")

        def state() -> str:
            record = switch.record()
            return record.state if record else "unknown"

        eventually(lambda: state() == "tripped", what="tripped")


def test_two_names_of_one_key_share_their_switches(world: World) -> None:
    """The same pair is one scope, whichever name it is armed under."""
    old, new = renamed(world, "it", "it", "it-main", auth="timestamp")
    with running(old, new):
        first = Producer(old).arm("it", pairs=["btc_idr"], timeout_ms=20_000)
        with pytest.raises(SwitchOverlap):
            Producer(new).arm("it-main", pairs=["btc_idr", "eth_idr"], timeout_ms=120_000)
        eventually(lambda: timers(world, "it"), what="the first timer")
        second = Producer(new).arm("it-main", pairs=["btc_idr"], timeout_ms=60_000)
        assert second.id == first.id
        with pytest.raises(SwitchReplaced):
            first.beat()
        second.disarm()
        eventually(lambda: not timers(world, "it"), what="the timer is stopped")


def test_one_alias_on_two_exchanges_is_two_accounts(world: World) -> None:
    """Neither a scope nor a proof of the one is taken for the other's."""
    one, other = (world.settings(accounts={"main": world.account(a)}) for a in ("ev", "bm"))
    (order_id,) = world.place("bm")
    world.place("ev", order_ids=[order_id])
    mine, theirs = Producer(one), Producer(other)
    with running(one, other):
        switch = mine.arm("main", order_ids=[order_id], timeout_ms=3_000)
        theirs.arm("main", pairs=["X_Y"], timeout_ms=60_000)
        mine.arm("main", pairs=["X_Y", "Z_Y"], timeout_ms=60_000)
        result = theirs.cancel("main", order_id).wait(timeout_ms=WITHIN_MS)
        assert result.outcome is Outcome.CANCELED
        record = switch.record()
        assert record is not None
        assert record.order_ids == (order_id,)
        eventually(lambda: world.status("ev", order_id) == "canceled", what="tripped")
        shown = {
            (lane_of(lane.exchange, lane.account), lane.served)
            for lane in read(world.store()).lanes
        }
        eventually(lambda: "," in world.ledger().accounts()["main"], what="both are known")
        with pytest.raises(UnknownAccount, match=r"bitmart and on everstrike"):
            Producer(world.settings(accounts={})).cancel("main", order_id)
    assert shown == {("everstrike:main", True), ("bitmart:main", True)}


def test_a_rolling_change_of_auth_refuses_no_nonce(world: World) -> None:
    """The strictest of the workers that live decides how many requests go at a time."""
    (nonce,) = renamed(world, "ix", "ix", auth="nonce")
    (stamps,) = renamed(world, "ix", "ix", auth="timestamp")
    with running(nonce, stamps):
        world.sim.set_option("delay_ms", 20)
        ids = world.place("ix", 60, pair="btc_idr")
        tickets = Producer(nonce).cancel_many("ix", ids, pair="btc_idr", side="buy")
        assert {t.wait(timeout_ms=WITHIN_MS).outcome for t in tickets} == {Outcome.CANCELED}
    refused, _ = refused_nonces(world)
    assert refused == 0


class Aliases:
    """Aliases of one Indodax account on a stepped clock, by a worker each."""

    def __init__(self, url: str) -> None:
        self.clock = Stepped(url)
        self.client: Any = self.clock.client
        self.switches = Switches(self.clock.store())

    def register(self, alias: str, identity: str = "key", *, width: int = 1) -> dict[str, str]:
        """Register an alias, as the worker that has it; return what it is to serve."""
        ledger = self.ledger(alias)
        served = ledger.register(
            [(alias, "indodax", width)], native={"indodax"}, identities={alias: identity}
        )
        ledger.heartbeat(alias, ttl_ms=5_000)
        return served

    def ledger(self, alias: str) -> Ledger:
        """Return the ledger of the worker that has this alias."""
        return Ledger(self.clock.store(), digest=f"worker-of-{alias}")

    def arm(self, alias: str, *pairs: str, timeout_ms: int = TIMEOUT_MS) -> Armed:
        """Arm pairs under an alias."""
        return self.switches.arm(
            switch_id=new_id(),
            lane=lane_of("indodax", alias),
            account=alias,
            native=True,
            pairs=pairs,
            order_ids=[],
            timeout_ms=timeout_ms,
            bell=(QUEUE, "urgent"),
        )

    def beat(self, armed: Armed) -> str:
        """Beat; return the state."""
        return self.switches.beat(armed.switch_id, armed.epoch, (QUEUE, "BELL")).state

    def trip(self, alias: str) -> list[tuple[str, str | None]]:
        """Have the lane of switches looked at; return the cancels that wait: lane, pair."""
        lane = switch_lane(lane_of("indodax", alias))
        ledger = self.ledger(alias)
        ledger.claim(exchange="indodax", holder="w", lease_ms=1_000, lane=lane)
        self.switches.report(lane, "w", release=AT_ONCE)
        return [(job.lane, job.pair) for job in ledger.pending(limit=10)]


@pytest.fixture
def aliases(redis_url: str) -> Aliases:
    """An empty Redis on a stepped clock."""
    return Aliases(redis_url)


def test_the_name_that_was_registered_first_stands_for_the_others(aliases: Aliases) -> None:
    """Each worker serves all of them."""
    assert aliases.register("b") == {"indodax:b": "b"}
    aliases.clock.advance(1)
    assert aliases.register("a") == {"indodax:a": "a", "indodax:b": "a"}
    # The first is to register again, and then serves the second too.
    assert aliases.ledger("b").heartbeat("b", ttl_ms=5_000)[1] is False
    assert aliases.register("b") == {"indodax:a": "b", "indodax:b": "b"}
    assert aliases.ledger("b").heartbeat("b", ttl_ms=5_000)[1] is True
    armed = aliases.arm("a", "btc_idr")
    record = aliases.switches.get(armed.switch_id)
    assert record is not None
    assert (record.account, record.lane) == ("a", "indodax:b")


def test_another_key_is_another_account(aliases: Aliases) -> None:
    """The same pair may be armed for each."""
    aliases.register("a", "one")
    aliases.register("b", "other")
    assert not aliases.arm("a", "btc_idr").overlaps
    assert not aliases.arm("b", "btc_idr", "eth_idr").overlaps


def test_the_hold_is_shared(aliases: Aliases) -> None:
    """One request at a time, and each name has its turn."""
    for alias in ("a", "b"):
        aliases.register(alias)
        aliases.clock.advance(1)
    aliases.register("a")
    ledger = aliases.ledger("a")
    for alias in ("a", "b"):
        for number in range(4):
            lane = lane_of("indodax", alias)
            ledger.accept([NewJob(id=new_id(), lane=lane, kind=Kind.CANCEL, order_id=str(number))])
    served = []
    for turn in range(6):
        aliases.clock.advance(5)
        claimed = ledger.claim(exchange="indodax", holder=f"w{turn}", lease_ms=10_000)
        (job,) = claimed.jobs
        served.append(job.account)
        assert not ledger.claim(exchange="indodax", holder="other", lease_ms=10_000).jobs
        ledger.hand_back([(job, f"w{turn}")])
        aliases.client.zadd(f"cx:due:{job.lane}", {job.id: aliases.clock.now_ms + 60_000})
        aliases.client.zadd("cx:lanes", {job.lane: aliases.clock.now_ms})
    assert served[:6].count("a") == served[:6].count("b") == 3


def test_what_was_armed_before_any_worker_registered_is_joined(aliases: Aliases) -> None:
    """Producers know aliases alone."""
    one = aliases.arm("a", "btc_idr")
    other = aliases.arm("b", "eth_idr")
    aliases.register("a")
    aliases.clock.advance(1)
    aliases.register("b")
    for armed, alias in ((one, "a"), (other, "b")):
        record = aliases.switches.get(armed.switch_id)
        assert record is not None
        assert (record.account, record.lane, record.state) == (alias, "indodax:a", "armed")
        assert aliases.beat(armed) == "armed"
    assert aliases.arm("b", "btc_idr", "sol_idr").overlaps
    assert aliases.client.zcard("cx:due:indodax:b:switch") == 0
    aliases.clock.advance(TIMEOUT_MS)
    assert sorted(aliases.trip("a")) == [("indodax:a", "btc_idr"), ("indodax:a", "eth_idr")]


def both_armed(aliases: Aliases, first: int, second: int) -> tuple[Armed, Armed]:
    """Arm a pair under two names before they are known to be one."""
    one = aliases.arm("a", "btc_idr", timeout_ms=first)
    aliases.clock.advance(10)
    other = aliases.arm("b", "btc_idr", "eth_idr", timeout_ms=second)
    aliases.register("a")
    aliases.clock.advance(1)
    aliases.register("b")
    return one, other


def test_of_two_holders_of_a_pair_the_earlier_learns_that_it_is_replaced(
    aliases: Aliases,
) -> None:
    """And then no strategy relies on its deadline."""
    one, other = both_armed(aliases, 10_000, 20_000)
    assert aliases.beat(one) == "replaced"
    assert aliases.beat(other) == "armed"
    aliases.clock.advance(15_000)
    assert aliases.trip("a") == []
    aliases.clock.advance(5_000)
    assert sorted(aliases.trip("a")) == [("indodax:a", "btc_idr"), ("indodax:a", "eth_idr")]


def test_of_two_holders_of_a_pair_a_silent_one_keeps_its_promise(aliases: Aliases) -> None:
    """Its orders come off by its deadline, whatever the other holder does."""
    one, other = both_armed(aliases, 10_000, 20_000)
    assert aliases.beat(other) == "armed"
    aliases.clock.advance(9_980)
    assert aliases.trip("a") == []
    aliases.clock.advance(20)
    assert aliases.trip("a") == [("indodax:a", "btc_idr")]
    assert aliases.beat(one) == "tripped"
    assert aliases.beat(other) == "armed"


def test_an_alias_that_gets_another_key_leaves_the_account(aliases: Aliases) -> None:
    """What was armed under the names that stay continues under them."""
    aliases.register("a")
    aliases.clock.advance(1)
    aliases.register("b")
    mine = aliases.arm("b", "btc_idr")
    aliases.register("a", "another")
    record = aliases.switches.get(mine.switch_id)
    assert record is not None
    assert record.lane == "indodax:b"
    assert aliases.beat(mine) == "armed"
    assert not aliases.arm("a", "btc_idr", "eth_idr").overlaps
    assert aliases.register("b") == {"indodax:b": "b"}


def test_the_strictest_width_of_the_living_counts(aliases: Aliases) -> None:
    """Any worker may register last, and any may have been down in between."""

    def width() -> str | None:
        value: str | None = aliases.client.hget("cx:lane:indodax:a", "width")
        return value

    def register(digest: str, wanted: int) -> Ledger:
        ledger = Ledger(aliases.clock.store(), digest=digest)
        ledger.register([("a", "indodax", wanted)], native={"indodax"}, identities={"a": "key"})
        ledger.heartbeat(digest, ttl_ms=5_000)
        return ledger

    strict = register("strict", 1)
    loose = register("loose", 0)
    assert width() == "1"
    assert loose.heartbeat("loose", ttl_ms=5_000)[1] is False
    aliases.clock.advance(6_000)
    register("loose", 0)
    assert width() == "0"
    assert strict.heartbeat("strict", ttl_ms=5_000)[1] is False
    register("strict", 1)
    assert width() == "1"


def test_cancels_sent_beside_workers_wait_for_their_turn(world: World) -> None:
    """No nonce overtakes another, from any worker, and who waits comes next."""
    (settings,) = renamed(world, "ix", "ix")
    (other,) = renamed(world, "ix", "ix-here")
    producer, outside = Producer(settings), Producer(other)
    with running(settings):
        ids = world.place("ix", 140, pair="btc_idr")
        tickets = producer.cancel_many("ix", ids[:120], pair="btc_idr", side="buy")
        for number, order_id in enumerate(ids[120:]):
            near, alias = ((producer, "ix"), (outside, "ix-here"))[number % 2]
            result = near.cancel_direct(alias, order_id, pair="btc_idr", side="buy")
            assert result.outcome is Outcome.CANCELED
        assert {t.wait(timeout_ms=WITHIN_MS).outcome for t in tickets} == {Outcome.CANCELED}
    refused, sent = refused_nonces(world)
    assert refused == 0
    assert sent >= len(ids)


def test_a_trip_under_another_name_is_waited_for(aliases: Aliases) -> None:
    """What it may yet cancel is the same account's."""
    aliases.arm("b", "btc_idr")
    aliases.clock.advance(TIMEOUT_MS)
    aliases.switches.arm(
        switch_id=new_id(),
        lane="indodax:b",
        account="b",
        native=True,
        pairs=["btc_idr"],
        order_ids=[],
        timeout_ms=TIMEOUT_MS,
        bell=(QUEUE, "urgent"),
        mode="touch",
    )
    aliases.register("a")
    aliases.clock.advance(1)
    aliases.register("b")
    assert aliases.arm("a", "btc_idr").clearing is not None


def test_two_keys_under_one_alias_raise_an_alert(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Two teams that share a Redis may have chosen the same name."""
    one, other = (world.settings(accounts={"main": world.account(a)}) for a in ("ix", "it"))
    with running(one):
        eventually(lambda: world.ledger().workers(), what="the first worker lives")
        assert "another key" not in caplog.text
        with running(other):
            eventually(lambda: "another key for account main" in caplog.text)


def test_an_alias_of_two_exchanges_is_known_as_such_once_both_are_back(aliases: Aliases) -> None:
    """Either may have been down when the other registered."""
    here, there = (Ledger(aliases.clock.store(), digest=name) for name in ("here", "there"))
    here.register([("main", "everstrike", 0)])
    here.heartbeat("here", ttl_ms=5_000)
    aliases.clock.advance(6_000)
    there.register([("main", "bitmart", 0)])
    there.heartbeat("there", ttl_ms=5_000)
    assert here.accounts() == {"main": "bitmart"}
    assert here.heartbeat("here", ttl_ms=5_000)[1] is False
    here.register([("main", "everstrike", 0)])
    assert here.accounts() == {"main": "bitmart,everstrike"}
    assert here.heartbeat("here", ttl_ms=5_000)[1] is True
