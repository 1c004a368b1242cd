"""No queue at all: a loop that sends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks import clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import THREADS, setting


def sender() -> Sender:
    """Return the request itself; many go through as many threads as are asked for."""
    post = clients.chosen()
    threads = int(setting(THREADS))
    pool = ThreadPoolExecutor(threads)

    def many(order_ids: list[str]) -> None:
        for _ in pool.map(post, order_ids):
            pass

    return Sender(post, many if threads > 1 else None)
