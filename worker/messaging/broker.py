"""Celery's transport and consumer on Redis, hardened against invalid messages.

kombu parses list items inside the event loop: an invalid one would end the worker.
Here it becomes a dead letter; see `envelope.py`.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from queue import Empty
from types import MappingProxyType
from typing import Any

import redis
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import KombuError
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps
from redis.connection import AbstractConnection

from worker import clock
from worker.messaging.envelope import UnreadableError, read_envelope, written_back
from worker.messaging.ordering import countdowns
from worker.messaging.qos import QoS, ignore_full
from worker.messaging.runtime import runtime, saturated
from worker.messaging.unprefixed import NAMESPACE
from worker.model.messages import COUNTDOWN, is_later
from worker.store.address import SENTINEL_PORT
from worker.store.doorbell import PLAIN_PRIORITIES, queue_key
from worker.store.guarded import GuardedConnection, GuardedSSLConnection
from worker.store.sentinels import MasterConnection, MasterSSLConnection, Sentinels
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)

RECONNECT_STEP_S = 0.25
RECONNECT_MAX_S = 2.0
UNREAD_S = 0.1
"""How long a read waits that leaves a queue out."""
LATER_S = 1.0
"""Delay before a message that only a newer worker can read is requeued."""
ALERT_MS = 60_000
FOREIGN_WORKERS = "_kombu.binding.celery.pidbox"
"""Key that lists the workers of Celery applications without a key prefix."""
_alerted_ms: float | None = None


class Channel(kombu_redis.Channel):
    """A channel that reads lists under the key prefix and the lists of stock clients.

    All keys of kombu are under `global_keyprefix`, apart from those of other
    applications on the same Redis. There the lists of `others_queues` are not read: their
    doorbells are for other workers. `plain_lists` are the exceptions: by queue, lists
    without the prefix that are read too. A requeued message returns to the list that
    it came from. `former_lists` hold doorbells of older versions and are not read.
    """

    QoS = QoS
    connection_class: type[AbstractConnection] = GuardedConnection
    connection_class_ssl: type[redis.Connection] = GuardedSSLConnection
    from_transport_options = (
        *kombu_redis.Channel.from_transport_options,
        "others_queues",
        "plain_lists",
        "former_lists",
    )
    others_queues: Sequence[str] = ()
    plain_lists: Mapping[str, str] = MappingProxyType({})
    former_lists: Sequence[str] = ()
    _turned = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  kombu's signature
        self._plans: dict[tuple[object, ...], tuple[dict[str, str], Any]] = {}
        super().__init__(*args, **kwargs)

    def lists(self, queue: str, priority: int, unread: Collection[str] = ()) -> list[str]:
        """Return the lists to read for a queue's messages of one priority.

        Of queues in `unread` only those without the prefix.
        """
        plain = self.plain_lists.get(queue)
        found = [queue_key(plain, priority)] if plain else []
        if priority in self.priority_steps and queue not in (*self.others_queues, *unread):
            found.append(self.global_keyprefix + queue_key(queue, priority))
        return found[::-1] if self._turned else found

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))  # type: ignore[attr-defined]
        if not queues:
            return
        # Alternate the order, so that neither of a queue's two lists starves.
        self._turned = not self._turned
        self._in_poll = self.client.connection
        unread = saturated()
        wait_s = (self.brpop_timeout if timeout is None else timeout) or 0
        if unread:  # its threads may be free soon
            wait_s = min(wait_s, UNREAD_S)
        plan = (self._turned, wait_s, unread, *queues)
        if plan not in self._plans:
            sources = {
                key: queue
                for priority in PLAIN_PRIORITIES
                for queue in queues
                for key in self.lists(queue, priority, unread)
            }
            self._plans[plan] = sources, self._in_poll.pack_command("BRPOP", *sources, wait_s)
        # Packed once: what is done here delays the thread that attempts what was just read.
        self._sources, command = self._plans[plan]
        self._in_poll.send_packed_command(command)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401  kombu's signature
        connection = self.client.connection
        try:
            # Bypass kombu's client, which would strip the prefix.
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
        """Requeue a message to the list that it came from, at its head or its tail."""
        written = written_back(payload)
        if written is None:
            super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)  # type: ignore[misc]
            return
        source, message = written
        message["headers"]["redelivered"] = True
        push = "LPUSH" if leftmost else "RPUSH"
        redis.client.Pipeline.execute_command(pipe, push, source, dumps(message))  # type: ignore[no-untyped-call]

    def shared(self) -> bool:
        """Return whether workers of another Celery application use this Redis."""
        with self.conn_or_acquire() as client:
            return bool(redis.Redis.execute_command(client, "EXISTS", FOREIGN_WORKERS))  # type: ignore[no-untyped-call]

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        if getattr(self.connection, "client", None) is None:
            # A late acknowledgement on a closed connection. kombu would raise an
            # AttributeError, which ends the worker.
            raise redis.ConnectionError("the connection of this channel was closed")
        # A least-privilege Redis user may not run CLIENT SETINFO.
        params: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return {**params, "lib_name": None, "lib_version": None}

    def _size(self, queue: str) -> int:
        # No transaction: a full Redis refuses even its reads.
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))  # type: ignore[attr-defined]
            return sum(size for size in pipe.execute() if isinstance(size, int))

    def _queue_bind(self, *args: Any) -> None:  # noqa: ANN401  kombu's signature
        # A full Redis refuses this write. The binding usually exists already; without it
        # broadcasts do not reach this worker.
        with ignore_full():
            super()._queue_bind(*args)  # type: ignore[misc]


class SentinelChannel(Channel):
    """A channel that asks the Sentinels for the master at each connect."""

    from_transport_options = (*Channel.from_transport_options, "sentinels")
    connection_class = MasterConnection
    connection_class_ssl = MasterSSLConnection
    sentinels: Sentinels

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        params = super()._connparams(asynchronous)
        del params["host"], params["port"]
        return {**params, "sentinels": self.sentinels}


class SocketChannel(Channel):
    """A channel over a Unix socket."""

    from_transport_options = (*Channel.from_transport_options, "socket_path")
    connection_class = redis.UnixDomainSocketConnection
    socket_path: str

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        params = super()._connparams(asynchronous)
        for name in ("host", "port", "socket_keepalive", "socket_keepalive_options"):
            params.pop(name, None)
        return {**params, "path": self.socket_path}


class Transport(kombu_redis.Transport):
    """A transport that turns messages that kombu cannot deliver into dead letters."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:  # noqa: ANN401  anything JSON can be
        try:
            super()._deliver(message, queue)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"Celery cannot read it ({type(error).__name__})"
            runtime().bury(reason, json.dumps(message))


class SocketTransport(Transport):
    """A transport over a Unix socket."""

    Channel = SocketChannel


class SentinelTransport(Transport):
    """A transport that finds the master through Sentinels."""

    default_port = SENTINEL_PORT
    Channel = SentinelChannel


class Consumer(CeleryConsumer):
    """A consumer that makes dead letters of invalid messages and reconnects quickly.

    It neither asks other workers for revoked tasks, for which Celery waits a second at each
    start, nor reads the heartbeats that they send to Flower: workers know of each other by Redis.
    """

    def __init__(self, *args: Any, worker_options: Any = None, **options: Any) -> None:  # noqa: ANN401  Celery's signature
        alone = {"without_mingle": True, "without_gossip": True}
        super().__init__(
            *args, **{**options, "worker_options": {**(worker_options or {}), **alone}}
        )

    def close(self) -> None:
        """Begin shutdown; Celery calls this for every cause."""
        runtime().shutdown.begin()

    def ensure_connected(self, conn: Any) -> Any:  # noqa: ANN401  kombu's Connection
        """Connect; retry at least every 2 s, instead of Celery's 30 s."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection,
            interval_start=RECONNECT_STEP_S,
            interval_step=RECONNECT_STEP_S,
            interval_max=RECONNECT_MAX_S,
        )
        return super().ensure_connected(conn)

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ANN401
        """Make a dead letter of a message whose body cannot be decoded."""
        runtime().bury(f"body cannot be decoded ({type(exc).__name__})", _shown(message))
        message.ack()

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ANN401
        """Make a dead letter of a message that is not a task."""
        runtime().bury("not a task", _shown(message, body))
        message.ack()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002
        """Make a dead letter of an unknown task, or requeue it for the workers that know it."""
        if _is_later(message):
            # With a delay: without one it would circulate until a newer worker takes it.
            self.timer.call_after(LATER_S, message.requeue)
            return
        name = message.headers.get("task") or (body.get("task") if isinstance(body, dict) else "")
        if message.channel.shared():
            # The other application may send to this list: its task must stay there.
            self.timer.call_after(LATER_S, message.requeue)
            _alert_foreign(str(name)[:100])
            return
        runtime().bury(f"unknown task {str(name)[:100]!r}", _shown(message, body))
        message.ack()

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401
        """Make a dead letter of a task that Celery cannot read."""
        runtime().bury(f"not a readable task ({type(exc).__name__})", _shown(message, body))
        message.ack()


def _alert_foreign(name: str) -> None:
    global _alerted_ms  # noqa: PLW0603  one per process
    now_ms = clock.monotonic_ms()
    if _alerted_ms is None or now_ms - _alerted_ms > ALERT_MS:
        _alerted_ms = now_ms
        alert(
            "queue shared",
            f"task {name!r} of another application is in our queue and was requeued; its "
            "workers may take and drop our messages: set plain_queue to separate the two",
        )


def _is_later(message: Any) -> bool:  # noqa: ANN401  kombu's Message
    """Return whether a task of this program declares a later format."""
    try:
        _, kwargs, *_ = message.payload
    except (ValueError, TypeError, KombuError):
        return False
    return str(message.headers.get("task")).startswith(NAMESPACE) and is_later(kwargs)


def _shown(message: Any, body: Any = None) -> str:  # noqa: ANN401  kombu's Message
    raw = message.body if body is None else body
    return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
