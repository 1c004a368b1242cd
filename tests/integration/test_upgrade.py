"""Workers of this version on a Redis, and beside producers, of version b98e59d."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.polling import eventually
from tests.support.upgrade import (
    Recorded,
    as_of_now,
    before_deadline,
    made_ago,
    old_calls,
    old_switch_call,
    restored,
)
from tests.support.world import KEYS, World
from worker import Outcome, State, Switch, SwitchOverlap, SwitchReplaced, SwitchTripped
from worker.model.switches import SwitchRecord
from worker.simulator import Simulator

SETTLED_MS = 45_000
BEFORE_MS = 3_000
GONE_MS = 60_000
"""After so long workers that were killed do not count as running."""
NATIVE_EARLY = 0.25
"""Share of its timeout by which an exchange's timer may fire before the deadline."""


@contextmanager
def taken_over(
    folder: Path, sim: Simulator, moved: Callable[[dict[str, Any]], int]
) -> Iterator[tuple[World, Recorded]]:
    """Give the recording, and the orders that were open then, to this version."""
    with (
        restored(folder / "redis", moved) as (server, recorded),
        closing(World(sim, server.url, folder, top={"redis_timeout_ms": 3_000})) as world,
    ):
        recorded.place(sim)
        sim.set_nonce(KEYS["ix"][1], recorded.nonce)
        yield world, recorded


@pytest.fixture
def upgrade(tmp_path: Path, sim: Simulator) -> Iterator[tuple[World, Recorded]]:
    """The recording as of now."""
    with taken_over(tmp_path, sim, as_of_now) as both:
        yield both


@pytest.fixture(params=[0, GONE_MS])
def either(
    request: pytest.FixtureRequest, tmp_path: Path, sim: Simulator
) -> Iterator[tuple[World, Recorded]]:
    """The recording as of now, when its worker may still run, or of when it is gone."""
    with taken_over(tmp_path, sim, made_ago(request.param)) as both:
        yield both


def kept_open(recorded: Recorded) -> set[str]:
    """Return the orders whose cancel was not asked for yet."""
    switches = [*recorded.armed().values(), *recorded.named_switches("short")]
    switches += [*recorded.named_switches("disarmed"), *recorded.named_switches("native disarmed")]
    jobs = recorded.named("dead").values()
    return {order for each in (*switches, *jobs) for order in each["orders"]}


def all_open(recorded: Recorded) -> list[tuple[str, str]]:
    """Return account and id of all orders that were open."""
    return [(each["alias"], order) for each in recorded.open for order in each["ids"]]


def test_every_accepted_job_ends_proven_and_nothing_else_is_canceled(
    upgrade: tuple[World, Recorded],
) -> None:
    """Pending, claimed, urgent and retried jobs end; orders of no job stay open."""
    world, recorded = upgrade
    stay = kept_open(recorded)
    asked = [(alias, order) for alias, order in all_open(recorded) if order not in stay]
    world.worker()
    for alias, order in asked:
        eventually(
            lambda a=alias, o=order: world.status(a, o) == "canceled",  # type: ignore[misc]
            within_ms=SETTLED_MS,
            what=f"{alias} {order} canceled",
        )
    producer = world.producer()
    for name, job in recorded.jobs.items():
        if job["state"] != "pending":
            continue
        ticket = producer.ticket(job["id"])
        assert ticket is not None, name
        result = ticket.wait(timeout_ms=SETTLED_MS)
        assert result.state is State.DONE, (name, result)
        assert result.proven, (name, result)
        assert result.attempts > job["attempts"] or name.startswith("pending"), (name, result)
    short = {order for each in recorded.named_switches("short") for order in each["orders"]}
    for alias, order in all_open(recorded):
        if order in stay - short:
            assert world.status(alias, order) == "open", (alias, order)
    refused = [arrival for arrival in world.sim.journal() if arrival.refusal == "nonce"]
    assert not refused, "the nonce account's sequence was not taken over"


def test_ended_jobs_can_be_read_and_dead_letters_be_replayed(
    upgrade: tuple[World, Recorded],
) -> None:
    """Tickets of done jobs still answer; a dead letter keeps its history and can be replayed."""
    world, recorded = upgrade
    world.worker()
    producer = world.producer()
    for name, job in recorded.named("done").items():
        ticket = producer.ticket(job["id"])
        assert ticket is not None, name
        result = ticket.result()
        assert (result.state, result.outcome) == (State.DONE, Outcome.CANCELED), name
        assert result.attempts == job["attempts"], name
        assert result.latency_ms is not None, name
    ledger = world.ledger()
    letters = {job.id: job for job in ledger.dead(limit=100)}
    assert set(letters) == set(recorded.dead)
    for name, job in recorded.named("dead").items():
        letter = letters[job["id"]]
        assert letter.outcome is Outcome.UNAUTHORIZED, name
        assert len(letter.history) == job["attempts"], name
        result = producer.replay(job["id"]).wait(timeout_ms=SETTLED_MS)
        assert result.proven, (name, result)
        (order,) = job["orders"]
        assert world.status(job["alias"], order) == "canceled", name
    left = {job.id for job in ledger.dead(limit=100)}
    assert len(left) == len(recorded.dead) - len(recorded.named("dead"))
    for job_id in left:
        assert letters[job_id].raw or letters[job_id].detail
        assert ledger.discard(job_id)


def test_armed_switches_keep_id_epoch_and_deadline_and_continue(
    either: tuple[World, Recorded],
) -> None:
    """The former holders beat on; the exchange's timers are set, renewed and stopped."""
    world, recorded = either
    world.worker()
    producer = world.producer()
    armed = recorded.armed()
    assert len(armed) == 9
    for name, each in armed.items():
        record = producer.switch(each["id"]).record()
        assert record is not None, name
        assert (record.state, record.epoch) == ("armed", each["epoch"]), name
        assert record.deadline_ms == each["deadline_ms"], name
        # They may be spelled otherwise by now, as are those of one that is armed again.
        assert [pair.lower() for pair in record.pairs] == [p.lower() for p in each["pairs"]], name
        assert sorted(record.order_ids) == sorted(each["order_ids"]), name
    for each in armed.values():
        producer.switch(each["id"], epoch=each["epoch"]).beat()
    for name, each in armed.items():
        switch = producer.switch(each["id"], epoch=each["epoch"])
        eventually(lambda s=switch: s.beat().in_time, what=f"{name} in time")  # type: ignore[misc]
        record = switch.record()
        assert record is not None
        assert record.deadline_ms > each["deadline_ms"], name
        if each["native"]:
            eventually(
                lambda e=each, s=switch: _in_line(world, e, s),  # type: ignore[misc]
                within_ms=30_000,
                what=f"timers of {name} in line",
            )
    (stopped,) = recorded.switches["native disarmed"]["pairs"]
    eventually(
        lambda: stopped not in {timer.pair for timer in world.sim.timers()},
        what="the disarmed switch's timer is stopped",
    )
    for name, each in armed.items():
        producer.switch(each["id"], epoch=each["epoch"]).disarm()
        for order in each["orders"]:
            assert world.status(each["alias"], order) == "open", name


def test_a_restarted_strategy_takes_its_switch_over(either: tuple[World, Recorded]) -> None:
    """The same scope is the same switch; a part of it overlaps; the former holder is replaced."""
    world, recorded = either
    world.worker()
    producer = world.producer()
    for name, each in recorded.armed().items():
        scope = {"pairs": each["pairs"], "order_ids": each["order_ids"]}
        part = {key: values[:1] for key, values in scope.items() if values}
        if part != {key: values for key, values in scope.items() if values}:
            with pytest.raises(SwitchOverlap):
                producer.arm(each["alias"], timeout_ms=60_000, **part)
        armed = producer.arm(each["alias"], timeout_ms=60_000, **scope)
        assert (armed.id, armed.epoch) == (each["id"], each["epoch"] + 1), name
        with pytest.raises(SwitchReplaced):
            producer.switch(each["id"], epoch=each["epoch"]).beat()
        assert armed.beat().left_ms > 0
        armed.disarm()


def goes_on(world: World, client: redis.Redis, each: dict[str, Any]) -> None:
    """Beat, track and disarm as a holder of the old version, as far as it is let."""
    switch = world.producer().switch(each["id"])

    def record() -> SwitchRecord:
        found = switch.record()
        assert found is not None
        return found

    assert old_switch_call(client, "beat", each)[0] == "armed"
    assert record().deadline_ms > each["deadline_ms"]
    if not each["native"]:
        assert old_switch_call(client, "track", each, "new-1")[0] == "armed"
        assert "new-1" in record().order_ids
        assert old_switch_call(client, "untrack", each, "new-1")[0] == "armed"
        assert "new-1" not in record().order_ids
    assert old_switch_call(client, "disarm", each)[0] == "armed"
    assert record().state == "disarmed"
    key = KEYS[each["alias"]][1]
    eventually(
        lambda: (
            not {(key, pair) for pair in each["pairs"]}
            & {(timer.api_key, timer.pair) for timer in world.sim.timers()}
        ),
        within_ms=60_000,
        what=f"timer of {each} stopped",
    )


def test_a_holder_of_the_old_version_continues_or_gets_an_error(
    either: tuple[World, Recorded],
) -> None:
    """It beats, tracks and disarms with its own scripts, on switches that were taken over."""
    world, recorded = either
    world.worker()
    client = redis.Redis.from_url(world.redis_url, decode_responses=True)
    for each in recorded.armed().values():
        with contextlib.suppress(redis.ResponseError):
            goes_on(world, client, each)
    with contextlib.suppress(redis.ResponseError):
        accounts: Any = client.hgetall("cx:accounts")
        assert accounts == {alias: KEYS[alias][0] for alias in KEYS}
    client.close()


@pytest.mark.parametrize("name", ["short", "short native"])
def test_a_switch_trips_at_the_deadline_that_its_strategy_set(
    name: str, tmp_path: Path, sim: Simulator
) -> None:
    """Neither early nor late, and with all of its scope."""
    with taken_over(tmp_path, sim, before_deadline(name, BEFORE_MS)) as (world, recorded):
        each = recorded.switches[name]
        world.worker()
        for order in each["orders"]:
            eventually(
                lambda o=order: world.status(each["alias"], o) == "canceled",  # type: ignore[misc]
                within_ms=SETTLED_MS,
                what=f"{order} canceled",
            )
            exchange = KEYS[each["alias"]][0]
            closed_ms = sim.order(exchange, order).closed_ms
            early_ms = each["timeout_ms"] * NATIVE_EARLY if each["native"] else 0
            assert closed_ms is not None
            assert closed_ms >= each["deadline_ms"] - early_ms
        switch = world.producer().switch(each["id"], epoch=each["epoch"])
        # An exchange's own timer may fire before a worker looks.
        eventually(lambda: _state(switch) == "tripped", what="tripped")
        record = switch.record()
        assert record is not None
        assert record.deadline_ms == each["deadline_ms"]
        with pytest.raises(SwitchTripped):
            switch.beat()


def _in_line(world: World, each: dict[str, Any], switch: Switch) -> bool:
    """Return whether the exchange's timers fire by the deadline, and not long before."""
    record = switch.record()
    assert record is not None
    timers = {timer.pair.lower(): timer.fires_at_ms for timer in world.sim.timers()}
    least_ms = record.deadline_ms - each["timeout_ms"] * NATIVE_EARLY
    fires = [timers.get(pair.lower(), 0) for pair in each["pairs"]]
    assert all(fires_ms <= record.deadline_ms for fires_ms in fires)
    return all(fires_ms >= least_ms for fires_ms in fires)


def _state(switch: Switch) -> str:
    record = switch.record()
    return record.state if record else "unknown"


OLD_ORDERS = {
    ("cancel", "accept"): {"ev": ["old-1"], "ix": ["900001"], "bm": ["900002"]},
    ("cancel_many", "accept"): {"ev": ["old-2", "old-3", "old-4"]},
    ("arm and trip", "arm"): {"ev": ["old-5"]},
    ("arm and trip", "track"): {"ev": ["old-6"]},
}
OLD_SCOPES = {
    ("cancel_all", "accept"): {"ev": "oldall_usdt", "ix": "oldall_idr"},
    ("arm and trip", "arm"): {"ev": "oldtrip_usdt"},
    ("arm native and trip", "arm"): {"it": "oldtrip_idr"},
}
"""By a call's label and script: what it takes off, unless it is refused."""
STAY = {
    ("arm and trip", "track"): ("ev", "old-7"),
    ("arm and disarm", "disarm"): ("ev", "old-8"),
    ("arm native and disarm", "disarm"): ("ix", "930000"),
}
"""Orders that stay open, as they were untracked, or their switch was disarmed."""


def place_for_old_calls(world: World) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Place what the calls are about; return what each takes off: account, order."""
    asked: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for call, orders in OLD_ORDERS.items():
        for alias, ids in orders.items():
            world.place(alias, pair="old_idr", side="buy", order_ids=ids)
            asked.setdefault(call, []).extend((alias, order) for order in ids)
    numbers = itertools.count(910_000)
    for call, scopes in OLD_SCOPES.items():
        for alias, pair in scopes.items():
            ids = world.place(alias, pair=pair, order_ids=[str(next(numbers)) for _ in range(2)])
            asked.setdefault(call, []).extend((alias, order) for order in ids)
    for alias, order in STAY.values():
        world.place(alias, pair="oldoff_idr", order_ids=[order])
    return asked


def call_as_before(
    client: redis.Redis, recorded: Recorded
) -> tuple[list[str], set[tuple[str, str]]]:
    """Make the calls of an old producer; return its jobs, and which calls were refused."""
    jobs: list[str] = []
    refused: set[tuple[str, str]] = set()
    for label, name, script, args in old_calls(recorded.delta_ms):
        if (label, "arm") in refused:
            refused.add((label, name))  # there is no switch to call it for
            continue
        try:
            answer: Any = client.eval(script, 0, *args)
        except redis.ResponseError:
            refused.add((label, name))
            continue
        if name == "accept":
            jobs += answer[::2]
        else:
            assert answer[0] == "armed", (label, answer)
    return jobs, refused


def test_an_old_producer_is_served_or_gets_an_error(either: tuple[World, Recorded]) -> None:
    """Workers serve all that a call has accepted; what they cannot serve is an error."""
    world, recorded = either
    asked = place_for_old_calls(world)
    world.worker()
    client = redis.Redis.from_url(world.redis_url, decode_responses=True)
    jobs, refused = call_as_before(client, recorded)
    for job_id in jobs:
        eventually(
            lambda j=job_id: client.hget(f"cx:job:{j}", "state") == "done",  # type: ignore[misc]
            within_ms=SETTLED_MS,
            what=f"job {job_id} of an old producer",
        )
        assert client.hget(f"cx:job:{job_id}", "outcome") in {"CANCELED", "GONE"}
    for call, orders in asked.items():
        for alias, order in orders if call not in refused else []:
            eventually(
                lambda a=alias, o=order: world.status(a, o) == "canceled",  # type: ignore[misc]
                within_ms=SETTLED_MS,
                what=f"{call}: {alias} {order} canceled",
            )
    for call, (alias, order) in STAY.items():
        if call not in refused:
            assert world.status(alias, order) == "open", call
    if ("arm native and disarm", "disarm") not in refused:
        eventually(
            lambda: "oldoff_idr" not in {timer.pair for timer in world.sim.timers()},
            what="the disarmed switch's timer is stopped",
        )
    client.close()
