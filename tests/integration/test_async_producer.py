"""What asyncio adds to a producer: many waits, cancellation, and an event loop that never waits."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable

import pytest
import redis

from tests.support.ledgers import DIGEST, LEASE_MS, RETENTION_MS, Verb, settlement
from worker import (
    AsyncProducer,
    AsyncSwitch,
    AsyncTicket,
    Outcome,
    Producer,
    State,
    StoreUnavailable,
    Switch,
    Ticket,
)
from worker.config.settings import Settings
from worker.store.async_connection import CONNECTIONS
from worker.store.ledger import Ledger
from worker.store.opening import build_store

ACCOUNTS = {"ev": {"exchange": "everstrike"}}
MANY = 300
ONLY_ASYNC = {"aclose", "wait_all", "as_completed"}
T_MS = 60_000


def public(kind: type) -> dict[str, list[str]]:
    """Return the parameters of each public method."""
    return {
        name: [*inspect.signature(found).parameters]
        for name, found in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [(Producer, AsyncProducer), (Switch, AsyncSwitch), (Ticket, AsyncTicket)],
)
def test_both_kinds_have_the_same_calls(blocking: type, awaited: type) -> None:
    """Names and parameters; asyncio adds a few."""
    expected, found = public(blocking), public(awaited)
    assert {name: found.get(name) for name in expected} == expected
    assert {*found} - {*expected} <= ONLY_ASYNC


PATIENCE_MS = 30_000
"""How long a call waits for Redis: a machine under load answers late."""


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, redis_timeout_ms=PATIENCE_MS, accounts=ACCOUNTS)


@pytest.fixture
def worker(settings: Settings) -> Ledger:
    """A ledger that claims what the producer recorded."""
    ledger = Ledger(build_store(settings), digest=DIGEST)
    ledger.register([("ev", "everstrike", 0)])
    return ledger


def finish(ledger: Ledger, *, limit: int = 1) -> int:
    """Claim jobs, and settle them as canceled; return how many there were."""
    jobs = ledger.claim(exchange="everstrike", holder="w", lease_ms=LEASE_MS, limit=limit).jobs
    if jobs:
        done = [settlement(job, Verb.DONE, outcome=Outcome.CANCELED, detail="") for job in jobs]
        ledger.settle(done, holder="w", retention_ms=RETENTION_MS, lease_ms=LEASE_MS, limit=0)
    return len(jobs)


def connected(redis_url: str) -> set[str]:
    """Return the ids of the connections that have run a script."""
    with redis.Redis.from_url(redis_url) as client:
        return {each["id"] for each in client.client_list() if each["cmd"] == "evalsha"}


def run(settings: Settings, body: Callable[[AsyncProducer], Awaitable[None]]) -> None:
    """Run a test's body with a producer."""

    async def main() -> None:
        async with AsyncProducer(settings) as producer, asyncio.timeout(240):
            await body(producer)

    asyncio.run(main())


def test_many_wait_on_one_task_and_few_connections(
    settings: Settings, worker: Ledger, redis_url: str
) -> None:
    """As many cancels and waits as there are: no thread, and no connection, for each."""

    async def body(producer: AsyncProducer) -> None:
        threads = threading.active_count()
        before = connected(redis_url)
        async with asyncio.TaskGroup() as group:
            made = [group.create_task(producer.cancel("ev", f"o{n}")) for n in range(MANY)]
        tickets = [task.result() for task in made]
        assert len(connected(redis_url) - before) == CONNECTIONS
        assert [ticket.order_id for ticket in tickets] == [f"o{n}" for n in range(MANY)]
        waiting = [asyncio.ensure_future(ticket.wait()) for ticket in tickets]
        while finish(worker, limit=100):  # noqa: ASYNC110  lets the waits continue
            await asyncio.sleep(0)
        results = await asyncio.gather(*waiting)
        assert {result.outcome for result in results} == {Outcome.CANCELED}
        assert threading.active_count() == threads
        assert len(asyncio.all_tasks()) <= 2

    run(settings, body)


def test_tickets_are_awaited_together_and_as_they_end(settings: Settings, worker: Ledger) -> None:
    """`wait_all` keeps the order and its time; `as_completed` yields what has ended first."""

    async def body(producer: AsyncProducer) -> None:
        first, second = await producer.cancel_many("ev", ["a1", "a2"])
        assert finish(worker) == 1
        results = await producer.wait_all([first, second], timeout_ms=50)
        assert sorted(result.state for result in results) == [State.DONE, State.PENDING]
        ended = producer.as_completed([second, first], timeout_ms=10_000)
        ticket, result = await anext(ended)
        assert (result.proven, (await ticket.result()).proven) == (True, True)
        assert finish(worker) == 1
        others = [(ticket.id, result.proven) async for ticket, result in ended]
        assert others == [(({first.id, second.id} - {ticket.id}).pop(), True)]

    run(settings, body)


def test_a_callback_gets_the_outcome_in_the_event_loop(settings: Settings, worker: Ledger) -> None:
    """One that fails stops no other."""

    async def body(producer: AsyncProducer) -> None:
        ticket = await producer.cancel("ev", "a1")
        called = asyncio.get_running_loop().create_future()
        ticket.on_outcome(lambda result: result.no_such_attribute)  # type: ignore[attr-defined]
        ticket.on_outcome(called.set_result)
        assert finish(worker) == 1
        assert (await called).outcome is Outcome.CANCELED

    run(settings, body)


def test_a_cancelled_wait_ends_alone(settings: Settings, worker: Ledger) -> None:
    """Another wait for the same job continues, and so does the job."""

    async def body(producer: AsyncProducer) -> None:
        ticket = await producer.cancel("ev", "a1")
        given_up, waiting = (asyncio.ensure_future(ticket.wait()) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert finish(worker) == 1
        assert (await waiting).outcome is Outcome.CANCELED
        assert (await ticket).outcome is Outcome.CANCELED

    run(settings, body)


def test_a_cancelled_call_leaves_its_answer_unread(settings: Settings, redis_url: str) -> None:
    """What Redis answers to calls that were cancelled is not read by later calls."""

    async def body(producer: AsyncProducer) -> None:
        await producer.cancel("ev", "warm")
        with redis.Redis.from_url(redis_url) as client:
            client.client_pause(600_000, all=False)
            calls = [asyncio.ensure_future(producer.cancel("ev", f"x{n}")) for n in range(20)]
            while client.info("clients")["blocked_clients"] < CONNECTIONS:  # noqa: ASYNC110  polls Redis
                await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            client.client_unpause()
        assert all(call.cancelled() for call in calls)
        tickets = await asyncio.gather(*(producer.cancel("ev", f"y{n}") for n in range(20)))
        for n, ticket in enumerate(tickets):
            again = await producer.cancel("ev", f"y{n}")
            assert (again.id, again.fresh) == (ticket.id, False)

    run(settings, body)


def test_a_cancelled_block_leaves_its_switch_armed(settings: Settings) -> None:
    """As after a crash; a clean end disarms."""

    async def body(producer: AsyncProducer) -> None:
        entered: asyncio.Future[AsyncSwitch] = asyncio.get_running_loop().create_future()

        async def strategy() -> None:
            async with producer.countdown("ev", order_ids=["a1"], timeout_ms=T_MS) as switch:
                entered.set_result(switch)
                await asyncio.sleep(T_MS)

        task = asyncio.ensure_future(strategy())
        switch = await entered
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        record = await switch.record()
        assert record is not None
        assert record.state == "armed"
        async with await producer.switch(switch.id, epoch=switch.epoch):
            pass
        record = await switch.record()
        assert record is not None
        assert record.state == "disarmed"

    run(settings, body)


def test_a_redis_that_does_not_answer_ends_every_call(settings: Settings, redis_url: str) -> None:
    """All of many calls and waits raise, also those that had no turn; later calls work."""

    async def body(producer: AsyncProducer) -> None:
        ticket = await producer.cancel("ev", "warm")
        with redis.Redis.from_url(redis_url) as client:
            client.client_pause(2_000)
        calls = [asyncio.ensure_future(producer.cancel("ev", f"x{n}")) for n in range(100)]
        waits = [asyncio.ensure_future(ticket.wait()) for _ in range(100)]
        for outcome in await asyncio.gather(*calls, *waits, return_exceptions=True):
            assert isinstance(outcome, StoreUnavailable)
        while True:
            try:
                again = await producer.cancel("ev", "warm")
            except StoreUnavailable:
                continue
            break
        assert again.id == ticket.id

    run(settings.model_copy(update={"redis_timeout_ms": 800}), body)


def test_closing_ends_the_waits(settings: Settings) -> None:
    """Who waits for a closed producer is cancelled; the job continues."""

    async def body(producer: AsyncProducer) -> None:
        ticket = await producer.cancel("ev", "a1")
        waiting = asyncio.ensure_future(ticket.wait())
        await asyncio.sleep(0)
        await producer.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(settings, body)
