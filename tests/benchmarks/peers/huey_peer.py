"""Huey on Redis. It has no acknowledgement: what a worker took is gone with it."""

from __future__ import annotations

from huey import RedisHuey

from tests.benchmarks import clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, STYLE, setting

FAST = setting(STYLE) == "fast"
huey = RedisHuey("bench", url=setting(REDIS), results=not FAST)

post = clients.chosen()


@huey.task(retries=3 if FAST else 0)
def cancel(order_id: str) -> None:
    """Send one cancel."""
    post(order_id)


def sender() -> Sender:
    """Return an enqueue."""
    return Sender(cancel)
