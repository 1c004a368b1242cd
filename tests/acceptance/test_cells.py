"""Two cells, each a Redis and its workers, on one host."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.polling import eventually
from tests.support.world import World
from worker import Outcome
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

TIMEOUT_MS = 2_000


def test_cells_share_nothing(
    redis_url: str, own_redis: EmbeddedRedis, sim: Simulator, tmp_path: Path
) -> None:
    """Neither sees the other's jobs, and what stops one stops nothing in the other."""
    (first_folder := tmp_path / "first").mkdir()
    (second_folder := tmp_path / "second").mkdir()
    first = World(sim, own_redis.url, first_folder, aliases=("ev",))
    second = World(sim, redis_url, second_folder, aliases=("bm",))
    try:
        first.worker()
        second.worker()
        (order,), (other,) = first.place("ev"), second.place("bm", 1)
        ticket = first.producer().cancel("ev", order)
        assert ticket.wait(timeout_ms=20_000).outcome is Outcome.CANCELED
        job = f"job:{ticket.id}"
        assert first.store().client.exists(first.store().key(job))
        assert not second.store().client.exists(second.store().key(job))
        assert set(first.ledger().accounts()) == {"ev"}
        assert set(second.ledger().accounts()) == {"bm"}
        server: int = first.store().client.info("server")["process_id"]  # type: ignore[index]
        os.kill(server, signal.SIGSTOP)
        try:
            second.producer().arm("bm", order_ids=[other], timeout_ms=TIMEOUT_MS)
            eventually(lambda: second.status("bm", other) == "canceled", what="its switch trips")
        finally:
            os.kill(server, signal.SIGCONT)
        (later,) = first.place("ev")
        ticket = first.producer().cancel("ev", later)
        assert ticket.wait(timeout_ms=20_000).outcome is Outcome.CANCELED
    finally:
        first.close()
        second.close()
