"""Celery on Redis: with late acknowledgement, or as a newcomer writes it."""

from __future__ import annotations

from celery import Celery

from tests.benchmarks import clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, STYLE, setting

RELIABLE = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": True,
    # Once a bounded prefetch is full, threads that acknowledge late do not wake
    # the consumer: it then idles for seconds, and two processes are slower than one.
    "worker_prefetch_multiplier": 0,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {"visibility_timeout": 5, "unacked_restore_interval": 1},
}

app = Celery("bench", broker=setting(REDIS))
if setting(STYLE) == "reliable":
    app.conf.update(RELIABLE)

post = clients.chosen()


@app.task
def cancel(order_id: str) -> None:
    """Send one cancel."""
    post(order_id)


def sender() -> Sender:
    """Return a publish."""
    return Sender(cancel.delay)
