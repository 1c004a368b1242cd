"""A bare Redis list: BLMOVE to a list of the thread's own, send, LREM.

What a worker that was killed held stays in its list; who starts gives it back.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import redis

from tests.benchmarks import clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, THREADS, setting

QUEUE = "bare"


def sender() -> Sender:
    """Return an LPUSH; many are one command."""
    client = redis.Redis.from_url(setting(REDIS))
    client.ping()
    return Sender(
        lambda order_id: client.lpush(QUEUE, order_id),
        lambda order_ids: client.lpush(QUEUE, *order_ids),
    )


def give_back() -> None:
    """Queue again what workers held that are no more."""
    client = redis.Redis.from_url(setting(REDIS), decode_responses=True)
    for held in client.scan_iter(f"{QUEUE}:*"):
        if not Path(f"/proc/{held.split(':')[1]}").exists():
            while client.lmove(held, QUEUE, "RIGHT", "RIGHT"):
                pass


def work(post: clients.Post) -> None:
    """Take, send, forget; for ever."""
    client = redis.Redis.from_url(setting(REDIS), decode_responses=True)
    held = f"{QUEUE}:{os.getpid()}:{threading.get_native_id()}"
    while True:
        order_id = client.blmove(QUEUE, held, 1, "RIGHT", "LEFT")
        if order_id is not None:
            post(str(order_id))
            client.lrem(held, 1, str(order_id))


if __name__ == "__main__":
    give_back()
    chosen = clients.chosen()
    for _ in range(int(setting(THREADS)) - 1):
        threading.Thread(target=work, args=(chosen,), daemon=True).start()
    work(chosen)
