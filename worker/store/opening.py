"""Open the store of the settings."""

from __future__ import annotations

from typing import Protocol

from worker.store.connection import Store, connect


class StoreSettings(Protocol):
    """The settings that say where Redis is and how to use it."""

    @property
    def redis_address(self) -> str:
        """The Redis URL; it may contain a password."""

    @property
    def redis_timeout_ms(self) -> int:
        """Longest that one call waits for Redis."""

    @property
    def redis_wait_replicas(self) -> int:
        """Number of replicas that must confirm what is promised."""

    @property
    def redis_wait_ms(self) -> int:
        """Longest wait for these replicas."""

    @property
    def key_prefix(self) -> str:
        """Prefix of every key."""


def build_store(settings: StoreSettings, *, promising: bool = False) -> Store:
    """Return the Redis of these settings.

    Args:
        settings: Where it is.
        promising: Whether callers rely on accepted commands: calls then wait for
            the replicas that the settings require.
    """
    client = connect(settings.redis_address, timeout_ms=settings.redis_timeout_ms)
    wanted = settings.redis_wait_replicas if promising else 0
    return Store(client, prefix=settings.key_prefix, replicas=(wanted, settings.redis_wait_ms))
