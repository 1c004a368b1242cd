"""What waits in the queues, for Flower's broker page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from worker.celery_app import plain_lists
from worker.config.settings import load_settings
from worker.store.connection import connect
from worker.store.doorbell import PLAIN_PRIORITIES, queue_key


class Queues:
    """Counts messages over the same way to Redis as everything else: Sentinels, TLS, sockets.

    Flower's own class asks the first Sentinel alone, knows no database beside 0, and would
    need options that no other part has. It takes the place of `flower.utils.broker.Broker`.

    Args:
        broker_url: Not looked at, like all else that Flower passes: the settings are.
    """

    def __init__(self, broker_url: str, **_: object) -> None:  # noqa: ARG002  Flower's signature
        settings = load_settings()
        self._client = connect(settings.redis_address, timeout_ms=settings.redis_timeout_ms)
        self._prefix = settings.key_prefix
        self._plain = plain_lists(settings)

    async def queues(self, names: Iterable[str]) -> list[dict[str, object]]:
        """Return each queue with how many messages wait in it.

        Raises:
            RedisError: Redis did not answer, or this user may not count; Flower logs it.
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
        """Return every list in which messages of a queue may lie."""
        heads = [self._prefix + name]
        if plain := self._plain.get(name):
            heads.append(plain)
        return [queue_key(head, priority) for head in heads for priority in PLAIN_PRIORITIES]
