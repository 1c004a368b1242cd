"""Another Celery application: stock, with tasks that note what they were given."""

from __future__ import annotations

import os

import redis
from celery import Celery

RAN = "stock:ran"
"""Where its tasks note the order or pairs that they were given, one a run."""
URL = os.environ.get("STOCK_BROKER", "redis://127.0.0.1:1/0")

app = Celery("stock", broker=URL)
app.conf.task_default_queue = os.environ.get("STOCK_QUEUE", "celery")


def _note(what: object) -> None:
    with redis.Redis.from_url(URL) as client:
        client.rpush(RAN, str(what))


@app.task(name="worker.cancel")
def cancel(account: str, order_id: str, pair: object = None, side: object = None) -> None:
    """Note the order."""
    del account, pair, side
    _note(order_id)


@app.task(name="stock.add")
def add(number: int) -> None:
    """Note the number."""
    _note(number)
