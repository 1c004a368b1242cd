"""RQ: without a fork a job and with retries, or as a newcomer writes it."""

from __future__ import annotations

import logging

import redis
from rq import Queue, Retry, SimpleWorker, Worker

from tests.benchmarks import clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, STYLE, setting

post = clients.chosen()
QUIET = {"result_ttl": 0, "job_timeout": 10}


def cancel(order_id: str) -> None:
    """Send one cancel."""
    post(order_id)


def sender() -> Sender:
    """Return an enqueue, and RQ's own for many."""
    queue = Queue(connection=redis.Redis.from_url(setting(REDIS)))
    if setting(STYLE) != "reliable":
        return Sender(lambda order_id: queue.enqueue(cancel, order_id))
    retry = Retry(max=3)
    prepare = Queue.prepare_data

    def many(order_ids: list[str]) -> None:
        queue.enqueue_many(
            [prepare(cancel, (each,), result_ttl=0, timeout=10, retry=retry) for each in order_ids]
        )

    return Sender(lambda order_id: queue.enqueue(cancel, order_id, retry=retry, **QUIET), many)


def work() -> None:
    """Run one worker."""
    connection = redis.Redis.from_url(setting(REDIS))
    if setting(STYLE) == "reliable":
        logging.getLogger("rq").setLevel(logging.WARNING)
        worker = SimpleWorker([Queue(connection=connection)], connection=connection)
        worker.work(logging_level="WARNING")
    else:
        Worker([Queue(connection=connection)], connection=connection).work()


if __name__ == "__main__":
    # The job's function is looked up by the name that the producer gave it.
    from tests.benchmarks.peers import rq_peer

    rq_peer.work()
