"""Celery's consumer on Redis, such that no message can stop it or vanish.

kombu reads a list item inside the event loop: one that is not what it expects
ends the worker. Here it becomes a dead letter; see `envelope.py`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty
from types import MappingProxyType
from typing import Any

import redis
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import KombuError
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import dumps
from redis.connection import AbstractConnection

from worker import clock
from worker.messaging.envelope import UnreadableError, read_envelope, written_back
from worker.messaging.ordering import countdowns
from worker.messaging.runtime import runtime
from worker.messaging.unprefixed import NAMESPACE, drop_old_bells, put_back
from worker.model.messages import COUNTDOWN, is_later
from worker.store.address import SENTINEL_PORT
from worker.store.doorbell import BELL, PLAIN_PRIORITIES, queue_key
from worker.store.full import is_full
from worker.store.guarded import GuardedConnection, GuardedSSLConnection
from worker.store.sentinels import MasterConnection, MasterSSLConnection, Sentinels
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)

RECONNECT_STEP_S = 0.25
RECONNECT_MAX_S = 2.0
LATER_S = 1.0
"""How long a message that a newer worker must read is kept from coming round again."""
ALERT_MS = 60_000
FOREIGN_WORKERS = "_kombu.binding.celery.pidbox"
"""Where the workers of Celery applications without a key prefix are listed."""
_alerted_ms: float | None = None


@contextmanager
def _room_later() -> Iterator[None]:
    """Leave a write for later that a full Redis refuses: it must not end the worker."""
    try:
        yield
    except redis.ResponseError as error:
        if not is_full(error):
            raise
        log.debug("Redis is full: %s", error)


class QoS(kombu_redis.QoS):
    """Acknowledgements, kept in Redis for messages that are the only record there is.

    A doorbell is not: should it be lost, the sweep finds its job. It is counted
    here alone, so that a worker takes no more of them than it may.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  kombu's signature
        super().__init__(*args, **kwargs)
        self._bells: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  kombu's Message
        """Count a message as taken; keep it, unless it is a doorbell."""
        if BELL in (message.headers or {}):
            self._bells.add(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
            return
        try:
            super().append(message, delivery_tag)
        except redis.ResponseError as error:
            if not is_full(error):
                raise
            # Off its queue already, it must not be lost for want of a copy.
            log.warning("Redis is full: a message is kept by this process alone")
            self._bells.add(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:  # noqa: ANN401
        """Return a pipeline, but no transaction: a full Redis refuses all that is in one."""
        if pipe is not None:
            yield pipe
            return
        with self.channel.conn_or_acquire(client) as acquired:  # type: ignore[attr-defined]
            yield acquired.pipeline(transaction=False)

    def restore_by_tag(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  kombu's signature
        """Give a message back; a full Redis keeps it among those taken, to be given back later."""
        with _room_later():
            super().restore_by_tag(*args, **kwargs)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Put back what dead workers had taken, now and then; see `leftover`, too."""
        with _room_later():
            super().restore_visible(start, num, interval)
            channel: Any = self.channel
            if (self._vrestore_count - 1) % interval:  # type: ignore[attr-defined]
                return
            with channel.conn_or_acquire() as client:
                pool = client.connection_pool
                drop_old_bells(pool, channel.former_lists)
                if lists := {*channel.plain_lists.values()}:
                    # A user of Redis who may not look there has nothing there.
                    with contextlib.suppress(redis.ResponseError):
                        put_back(pool, lists, older_than_s=channel.visibility_timeout)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002
        """Give it back, or up."""
        countdowns.leave(delivery_tag)
        super().reject(delivery_tag, requeue)

    def ack(self, delivery_tag: str) -> None:
        """Count it no more."""
        countdowns.leave(delivery_tag)
        if delivery_tag in self._bells:
            self._bells.discard(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)


class Channel(kombu_redis.Channel):
    """A channel on lists under the key prefix, and on those that stock clients send to.

    Every key of kombu's is under `global_keyprefix`, so that other applications on this
    Redis and ours do not meet. `plain_lists` are the exceptions: by queue, the lists without
    a prefix that are read as well. A message goes back to the list that it came from.
    `former_lists` are those that older versions rang in, and that are not read.
    """

    QoS = QoS
    connection_class: type[AbstractConnection] = GuardedConnection
    connection_class_ssl: type[redis.Connection] = GuardedSSLConnection
    from_transport_options = (
        *kombu_redis.Channel.from_transport_options,
        "plain_lists",
        "former_lists",
    )
    plain_lists: Mapping[str, str] = MappingProxyType({})
    former_lists: Sequence[str] = ()
    _turned = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  kombu's signature
        self._plans: dict[tuple[object, ...], dict[str, str]] = {}
        super().__init__(*args, **kwargs)

    def lists(self, queue: str, priority: int) -> list[str]:
        """Return the lists that a queue's messages of a priority lie in."""
        plain = self.plain_lists.get(queue)
        found = [queue_key(plain, priority)] if plain else []
        if priority in self.priority_steps:
            found.append(self.global_keyprefix + queue_key(queue, priority))
        return found[::-1] if self._turned else found

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))  # type: ignore[attr-defined]
        if not queues:
            return
        # In turns, so that neither of a queue's lists keeps the other waiting.
        self._turned = not self._turned
        plan = (self._turned, *queues)
        if plan not in self._plans:
            self._plans[plan] = {
                key: queue
                for priority in PLAIN_PRIORITIES
                for queue in queues
                for key in self.lists(queue, priority)
            }
        self._sources = self._plans[plan]
        self._in_poll = self.client.connection
        wait_s = self.brpop_timeout if timeout is None else timeout
        self._in_poll.send_command("BRPOP", *self._sources, wait_s or 0)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401  kombu's signature
        connection = self.client.connection
        try:
            # Not by kombu's client, which would take the prefix off.
            answer = redis.Redis.parse_response(self.client, connection, "BRPOP", **options)  # type: ignore[no-untyped-call]
        except self.connection_errors:  # type: ignore[attr-defined]
            connection.disconnect()
            raise
        finally:
            self._in_poll = None
        if not answer:
            raise Empty
        key, item = answer
        source = key.decode()
        queue = self._sources[source]
        self._queue_cycle.rotate(queue)  # type: ignore[attr-defined]
        try:
            message = read_envelope(item, queue=queue, source=source)
        except UnreadableError as error:
            runtime().bury(str(error), error.shown)
            return True
        headers = message["headers"]
        if headers.get("task") == COUNTDOWN and not headers.get("eta"):
            countdowns.enter(message["properties"]["delivery_tag"])
        self.connection._deliver(message, queue)  # noqa: SLF001  kombu's own way
        return True

    def _do_restore_message(
        self,
        payload: Any,  # noqa: ANN401  a message as it was read
        exchange: str,
        routing_key: str,
        pipe: Any,  # noqa: ANN401  kombu's pipeline
        leftmost: bool = False,  # noqa: FBT001, FBT002  kombu's signature
    ) -> None:
        """Put a message back into the list that it came from, to be read next or last."""
        written = written_back(payload)
        if written is None:
            super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)  # type: ignore[misc]
            return
        source, message = written
        message["headers"]["redelivered"] = True
        push = "LPUSH" if leftmost else "RPUSH"
        redis.client.Pipeline.execute_command(pipe, push, source, dumps(message))  # type: ignore[no-untyped-call]

    def shared(self) -> bool:
        """Return whether another Celery application's workers are on this Redis."""
        with self.conn_or_acquire() as client:
            return bool(redis.Redis.execute_command(client, "EXISTS", FOREIGN_WORKERS))  # type: ignore[no-untyped-call]

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        if getattr(self.connection, "client", None) is None:
            # An acknowledgement that came after its connection was given up. What kombu
            # makes of it, an AttributeError, would end the worker.
            raise redis.ConnectionError("the connection of this channel was given up")
        # A narrow Redis user may not say which library it uses.
        params: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return {**params, "lib_name": None, "lib_version": None}

    def _size(self, queue: str) -> int:
        # Not as a transaction, of which a full Redis refuses even reads.
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))  # type: ignore[attr-defined]
            return sum(size for size in pipe.execute() if isinstance(size, int))

    def _queue_bind(self, *args: Any) -> None:  # noqa: ANN401  kombu's signature
        # A full Redis refuses this, known or not. Mostly it is known; if not, a broadcast
        # does not reach this worker.
        with _room_later():
            super()._queue_bind(*args)  # type: ignore[misc]


class SentinelChannel(Channel):
    """The same, on the master that the Sentinels name each time that it connects."""

    from_transport_options = (*Channel.from_transport_options, "sentinels")
    connection_class = MasterConnection
    connection_class_ssl = MasterSSLConnection
    sentinels: Sentinels

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        params = super()._connparams(asynchronous)
        del params["host"], params["port"]
        return {**params, "sentinels": self.sentinels}


class SocketChannel(Channel):
    """The same, by way of a Unix socket."""

    from_transport_options = (*Channel.from_transport_options, "socket_path")
    connection_class = redis.UnixDomainSocketConnection
    socket_path: str

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        params = super()._connparams(asynchronous)
        for name in ("host", "port", "socket_keepalive", "socket_keepalive_options"):
            params.pop(name, None)
        return {**params, "path": self.socket_path}


class Transport(kombu_redis.Transport):
    """A transport that survives messages without what kombu needs in them."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:  # noqa: ANN401  anything JSON can be
        try:
            super()._deliver(message, queue)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"Celery cannot read it ({type(error).__name__})"
            runtime().bury(reason, json.dumps(message))


class SocketTransport(Transport):
    """The same, by way of a Unix socket."""

    Channel = SocketChannel


class SentinelTransport(Transport):
    """The same, by way of Sentinels."""

    default_port = SENTINEL_PORT
    Channel = SentinelChannel


class Consumer(CeleryConsumer):
    """A consumer that buries what it cannot run, and is soon back after an outage."""

    def close(self) -> None:
        """Begin to stop: called whoever told the worker to, be it without a signal."""
        runtime().shutdown.begin()

    def ensure_connected(self, conn: Any) -> Any:  # noqa: ANN401  kombu's Connection
        """Connect, trying again every 2 s at most instead of Celery's 30."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection,
            interval_start=RECONNECT_STEP_S,
            interval_step=RECONNECT_STEP_S,
            interval_max=RECONNECT_MAX_S,
        )
        return super().ensure_connected(conn)

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ANN401
        """Bury a message whose body cannot be decoded."""
        runtime().bury(f"body cannot be decoded ({type(exc).__name__})", _shown(message))
        message.ack()

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ANN401
        """Bury a message that is no task."""
        runtime().bury("not a task", _shown(message, body))
        message.ack()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002
        """Bury a task of another name."""
        if _is_later(message):
            # Not at once, or it would come round at full speed until a newer worker has it.
            self.timer.call_after(LATER_S, message.requeue)
            return
        name = message.headers.get("task") or (body.get("task") if isinstance(body, dict) else "")
        if message.channel.shared():
            # Perhaps theirs, who send to the same list: not ours to bury, nor to keep.
            self.timer.call_after(LATER_S, message.requeue)
            _alert_foreign(str(name)[:100])
            return
        runtime().bury(f"unknown task {str(name)[:100]!r}", _shown(message, body))
        message.ack()

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401
        """Bury a task that Celery cannot read."""
        runtime().bury(f"not a readable task ({type(exc).__name__})", _shown(message, body))
        message.ack()


def _alert_foreign(name: str) -> None:
    global _alerted_ms  # noqa: PLW0603  one per process
    now_ms = clock.monotonic_ms()
    if _alerted_ms is None or now_ms - _alerted_ms > ALERT_MS:
        _alerted_ms = now_ms
        alert(
            "queue shared",
            f"task {name!r} of another application is in our queue, and is left there; "
            "its workers may take and drop our messages: part the two by plain_queue",
        )


def _is_later(message: Any) -> bool:  # noqa: ANN401  kombu's Message
    """Return whether a task of this program says that it is of a later format."""
    try:
        _, kwargs, *_ = message.payload
    except (ValueError, TypeError, KombuError):
        return False
    return str(message.headers.get("task")).startswith(NAMESPACE) and is_later(kwargs)


def _shown(message: Any, body: Any = None) -> str:  # noqa: ANN401  kombu's Message
    raw = message.body if body is None else body
    return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
