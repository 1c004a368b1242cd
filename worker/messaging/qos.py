"""Messages that a worker has read and not acknowledged."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from worker.messaging.ordering import countdowns
from worker.messaging.unprefixed import drop_old_bells, put_back
from worker.store.doorbell import BELL
from worker.store.full import is_full

log = logging.getLogger(__name__)


@contextmanager
def ignore_full() -> Iterator[None]:
    """Ignore that a full Redis refuses a write that is retried later."""
    try:
        yield
    except redis.ResponseError as error:
        if not is_full(error):
            raise
        log.debug("Redis is full: %s", error)


class QoS(kombu_redis.QoS):
    """Unacknowledged messages: plain messages are kept in Redis, doorbells are not.

    A plain message is the only record of its command. A lost doorbell is harmless:
    the sweep finds its job. Doorbells are counted in this process only, for the
    prefetch limit.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  kombu's signature
        super().__init__(*args, **kwargs)
        self._bells: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  kombu's Message
        """Count a message as received; keep it in Redis, unless it is a doorbell."""
        if BELL in (message.headers or {}):
            self._bells.add(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
            return
        try:
            super().append(message, delivery_tag)
        except redis.ResponseError as error:
            if not is_full(error):
                raise
            # The message has left its queue: keep it here, as no copy can be written.
            log.warning("Redis is full: a message is kept in this process only")
            self._bells.add(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:  # noqa: ANN401
        """Return a pipeline without a transaction: a full Redis refuses whole transactions."""
        if pipe is not None:
            yield pipe
            return
        with self.channel.conn_or_acquire(client) as acquired:  # type: ignore[attr-defined]
            yield acquired.pipeline(transaction=False)

    def restore_by_tag(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  kombu's signature
        """Requeue a message; with a full Redis it stays unacknowledged and is requeued later."""
        with ignore_full():
            super().restore_by_tag(*args, **kwargs)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Requeue messages of dead workers, every `interval` calls; see `unprefixed.py` too."""
        with ignore_full():
            super().restore_visible(start, num, interval)
            channel: Any = self.channel
            if (self._vrestore_count - 1) % interval:  # type: ignore[attr-defined]
                return
            with channel.conn_or_acquire() as client:
                pool = client.connection_pool
                drop_old_bells(pool, channel.former_lists)
                if lists := {*channel.plain_lists.values()}:
                    # A Redis user without access to these keys has no messages there.
                    with contextlib.suppress(redis.ResponseError):
                        put_back(pool, lists, older_than_s=channel.visibility_timeout)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002
        """Requeue or drop a message."""
        countdowns.leave(delivery_tag)
        super().reject(delivery_tag, requeue)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message."""
        countdowns.leave(delivery_tag)
        if delivery_tag in self._bells:
            self._bells.discard(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)
