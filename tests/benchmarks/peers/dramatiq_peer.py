"""Dramatiq on Redis; tuned, it polls often and takes a dead worker's messages over sooner."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks import clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, STYLE, setting

if setting(STYLE) == "reliable":
    broker = RedisBroker(url=setting(REDIS), heartbeat_timeout=5_000)
else:
    broker = RedisBroker(url=setting(REDIS))
dramatiq.set_broker(broker)

post = clients.chosen()


@dramatiq.actor
def cancel(order_id: str) -> None:
    """Send one cancel."""
    post(order_id)


def sender() -> Sender:
    """Return a publish."""
    return Sender(cancel.send)
