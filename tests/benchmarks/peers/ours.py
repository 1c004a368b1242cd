"""cancel-worker, as shipped."""

from __future__ import annotations

import itertools
import os

import tenacity

from tests.benchmarks.producing import Sender
from worker import Producer
from worker.errors import StoreUnavailable

ALIAS = "BENCH_ALIAS"
ACCOUNTS = "BENCH_ACCOUNTS"
PAIR = "BENCH_PAIR"
TRIES = 10


def sender() -> Sender:
    """Return `cancel` and `cancel_many`, over as many accounts in turn as asked for."""
    producer = Producer()
    alias, pair = os.environ.get(ALIAS, "ev"), os.environ.get(PAIR)
    accounts = int(os.environ.get(ACCOUNTS, "1"))
    aliases = [f"{alias}{n or ''}" for n in range(accounts)]
    turns = itertools.cycle(aliases)

    # Redis, rewriting a large AOF, may not answer in time. Asking again is safe.
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(StoreUnavailable),
        stop=tenacity.stop_after_attempt(TRIES),
    )
    def many(order_ids: list[str]) -> None:
        for n, each in enumerate(aliases):
            producer.cancel_many(each, order_ids[n::accounts], pair=pair)

    return Sender(lambda order_id: producer.cancel(next(turns), order_id, pair=pair), many)
