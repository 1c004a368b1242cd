"""arq: polling often and keeping no results, or as a newcomer writes it."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from tests.benchmarks import async_clients
from tests.benchmarks.producing import Sender
from tests.benchmarks.system import REDIS, STYLE, THREADS, setting

SETTINGS = RedisSettings.from_dsn(setting(REDIS))
RELIABLE = {
    "max_jobs": int(setting(THREADS)),
    "poll_delay": 0.01,
    "keep_result": 0,
    "log_results": False,
    "job_timeout": 5,
}

post = async_clients.chosen()


async def cancel(_: dict[str, Any], order_id: str) -> None:
    """Send one cancel."""
    await post(order_id)


class Worker:
    """What arq's command reads."""

    functions: ClassVar = [cancel]
    redis_settings = SETTINGS
    if setting(STYLE) == "reliable":
        locals().update(RELIABLE)


def sender() -> Sender:
    """Return an enqueue, each from an idle loop."""
    runner = asyncio.Runner()
    pool = runner.run(create_pool(SETTINGS))
    return Sender(lambda order_id: runner.run(pool.enqueue_job("cancel", order_id)))
