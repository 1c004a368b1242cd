"""Any bytes in a queue of Celery's, before a real worker process: it lives and continues.

The body of a message is given as the JSON that it holds, and packed here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fuzz.target import Target
from tests.support.polling import eventually
from tests.support.world import World, open_world
from worker.model.messages import CANCEL, COUNTDOWN, DRAIN, TICK
from worker.store.doorbell import ring

BATCH = 250
"""Messages on their way at once."""
SETTLED_MS = 60_000
QUEUES = ("celery", "indodax", "celery\x06\x169", "cx:celery")
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
EXAMPLES: tuple[tuple[str, list[Any], dict[str, Any]], ...] = (
    (CANCEL, ["ev", "a1"], {}),
    (CANCEL, [], {"account": "ix", "order_id": "6", "pair": "btc_idr", "side": "buy", "job": "j"}),
    (COUNTDOWN, ["ix", ["btc_idr"], 120_000], {"sent_ms": 1_783_000_000_000}),
    (COUNTDOWN, [], {"account": "ix", "pairs": "btc_idr,eth_idr", "timeout_ms": 0}),
    (DRAIN, [], {"exchange": "indodax"}),
    (TICK, [], {}),
)
WORDS = (
    *(b"worker.cancel", b"celery.backend_cleanup", b"celery.chain", b"os.system", b"\\ud800"),
    *(b"application/x-python-serialize", b"application/x-yaml", b"gzip", b"base64", b"utf-16"),
    *(b"2020-01-01T00:00:00", b"9999-12-31T23:59:59+00:00", b"reply_to", b"expires", b"eta"),
    *(b"timelimit", b"compression", b"stamps", b"group", b"chord", b"callbacks", b"priority"),
)


class Storm:
    """A worker, and messages for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.redis = world.store().client
        self.worker = world.worker()
        self.sent = 0

    def check(self, data: bytes) -> None:
        """Put one message into a queue; at times check that all were taken."""
        self.redis.lpush(QUEUES[self.sent % len(QUEUES)], packed(data))
        self.sent += 1
        if self.sent % BATCH == 0:
            self.settle()

    def settle(self) -> None:
        """Wait until the queues are empty, by the work of the same process."""

        def taken() -> bool:
            assert self.worker.process is not None
            assert self.worker.process.poll() is None, self.worker.text()[-4_000:]
            return not any(self.redis.llen(queue) for queue in QUEUES)

        eventually(taken, within_ms=SETTLED_MS, what="the queues are empty")

    def finish(self) -> None:
        """See that a cancel still goes through."""
        self.settle()
        (order_id,) = self.world.place("ev")
        assert self.world.producer().cancel("ev", order_id).wait(timeout_ms=30_000).proven
        assert self.world.ledger().dead_count()


def packed(data: bytes) -> bytes:
    """Pack the body of a message, where it is one."""
    try:
        message = json.loads(data)
        body = message["body"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return data
    if not isinstance(body, str):
        message["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    return json.dumps(message).encode()


def corpus() -> list[bytes]:
    """Return one message of each task, as this program's own senders write them."""
    found = []
    for task, args, kwargs in EXAMPLES:
        _, text = ring(task, kwargs, queue="celery", args=args)
        message = json.loads(text)
        message["body"] = [args, kwargs, EMBED]
        found.append(json.dumps(message).encode())
    return [*found, b"[]", b"{}", b"42", b"\xff"]


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, with a Redis, simulated exchanges and a worker of its own."""
    with open_world() as world:
        storm = Storm(world)
        yield Target(storm.check, corpus(), WORDS, finish=storm.finish)
