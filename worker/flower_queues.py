"""Queue lengths for Flower's broker page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from worker.celery_app import plain_lists
from worker.config.settings import load_settings
from worker.store.connection import connect
from worker.store.doorbell import PLAIN_PRIORITIES, queue_key


class Queues:
    """Counts messages through this program's own connection: Sentinels, TLS, sockets.

    Replaces `flower.utils.broker.Broker`, which asks only the first Sentinel, reads only
    database 0 and needs options of its own.

    Args:
        broker_url: Ignored, like all other arguments of Flower: the settings are used.
    """

    def __init__(self, broker_url: str, **_: object) -> None:  # noqa: ARG002  Flower's signature
        settings = load_settings()
        self._client = connect(settings.redis_address, timeout_ms=settings.redis_timeout_ms)
        self._prefix = settings.key_prefix
        self._plain = plain_lists(settings)

    async def queues(self, names: Iterable[str]) -> list[dict[str, object]]:
        """Return each queue with its number of messages.

        Raises:
            RedisError: Redis did not answer, or refused this user. Flower logs it.
        """
        return await asyncio.to_thread(self._count, sorted(names))

    def _count(self, names: list[str]) -> list[dict[str, object]]:
        try:
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                for key in self._lists(name):
                    pipe.llen(key)
            lengths: Any = iter(pipe.execute())
            return [
                {"name": name, "messages": sum(next(lengths) for _ in self._lists(name))}
                for name in names
            ]
        finally:
            self._client.close()

    def _lists(self, name: str) -> list[str]:
        """Return every list that may hold messages of a queue."""
        heads = [self._prefix + name]
        if plain := self._plain.get(name):
            heads.append(plain)
        return [queue_key(head, priority) for head in heads for priority in PLAIN_PRIORITIES]
