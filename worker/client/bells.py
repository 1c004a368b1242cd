"""Doorbells of accepted jobs: messages that wake workers early."""

from __future__ import annotations

from collections.abc import Sequence

from worker.model.jobs import NewJob
from worker.model.messages import CANCEL, CLIENT_ID_FORMAT, DRAIN
from worker.store.doorbell import ring

MANY_BELLS = 8
"""Doorbells for a burst of jobs; a woken worker continues with all due jobs."""


def bells(exchange: str, account: str, jobs: Sequence[NewJob]) -> list[tuple[str, str]]:
    """Return doorbells: one that names a single job, for Flower, or a few for many jobs."""
    if len(jobs) == 1:
        (job,) = jobs
        named: dict[str, object] = {"account": account}
        if job.client_order_id:
            named |= {"client_order_id": job.client_order_id, "v": CLIENT_ID_FORMAT}
        else:
            named["order_id"] = job.order_id
        scope = {"pair": job.pair, "side": job.side}
        kwargs = {**named, "job": job.id, **{name: text for name, text in scope.items() if text}}
        return [ring(CANCEL, kwargs, queue=exchange)]
    return [
        ring(DRAIN, {"exchange": exchange}, queue=exchange)
        for _ in range(min(MANY_BELLS, len(jobs)))
    ]
