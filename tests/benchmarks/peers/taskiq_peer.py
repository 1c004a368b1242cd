"""taskiq: on a stream with acknowledgement, or on a list as its README shows."""

from __future__ import annotations

import asyncio

from taskiq_redis import ListQueueBroker, RedisStreamBroker

from tests.benchmarks import async_clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, STYLE, setting

if setting(STYLE) == "reliable":
    broker = RedisStreamBroker(setting(REDIS), idle_timeout=5_000, unacknowledged_lock_timeout=5)
else:
    broker = ListQueueBroker(setting(REDIS))

post = async_clients.chosen()


@broker.task
async def cancel(order_id: str) -> None:
    """Send one cancel."""
    await post(order_id)


def sender() -> Sender:
    """Return an enqueue, each from an idle loop."""
    runner = asyncio.Runner()
    runner.run(broker.startup())

    async def one(order_id: str) -> None:
        await cancel.kiq(order_id)

    return Sender(lambda order_id: runner.run(one(order_id)))
