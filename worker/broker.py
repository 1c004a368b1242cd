"""Celery's consumer on Redis, such that no message can stop it or vanish.

kombu reads a list item as JSON inside the event loop: one that is not what it
expects ends the worker. Here it becomes a dead letter.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import redis
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import KombuError
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from worker.messages import is_later
from worker.runtime import runtime
from worker.store.address import SENTINEL_PORT
from worker.store.doorbell import BELL
from worker.store.guarded import GuardedConnection, GuardedSSLConnection
from worker.store.sentinels import MasterConnection, MasterSSLConnection, Sentinels

RECONNECT_STEP_S = 0.25
RECONNECT_MAX_S = 2.0
LATER_S = 1.0
"""How long a message that a newer worker must read is kept from coming round again."""
NAMESPACE = "worker."
"""Begins the names of this program's tasks."""


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
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Count it no more."""
        if delivery_tag in self._bells:
            self._bells.discard(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)


class Channel(kombu_redis.Channel):
    """A channel that survives list items that are no messages."""

    QoS = QoS
    connection_class: type[redis.Connection] = GuardedConnection
    connection_class_ssl: type[redis.Connection] = GuardedSSLConnection

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        if getattr(self.connection, "client", None) is None:
            # An acknowledgement that came after its connection was given up. What kombu
            # makes of it, an AttributeError, would end the worker.
            raise redis.ConnectionError("the connection of this channel was given up")
        # A narrow Redis user may not say which library it uses.
        params: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return {**params, "lib_name": None, "lib_version": None}

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401  kombu's signature
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except json.JSONDecodeError as error:
            runtime().bury("not a Celery message: not JSON", error.doc)
        except UnicodeDecodeError as error:
            runtime().bury("not a Celery message: not UTF-8", repr(error.object))
        except RecursionError:
            runtime().bury("not a Celery message: nested too deep", "")
        return True


class SentinelChannel(Channel):
    """The same, on the master that the Sentinels name each time that it connects."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, "sentinels")
    connection_class = MasterConnection
    connection_class_ssl = MasterSSLConnection
    sentinels: Sentinels

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        params = super()._connparams(asynchronous)
        del params["host"], params["port"]
        return {**params, "sentinels": self.sentinels}


class Transport(kombu_redis.Transport):
    """A transport that survives messages without what kombu needs in them."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:  # noqa: ANN401  anything JSON can be
        if reason := _fault(message):
            runtime().bury(f"not a Celery message: {reason}", json.dumps(message))
            return
        try:
            super()._deliver(message, queue)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"Celery cannot read it ({type(error).__name__})"
            runtime().bury(reason, json.dumps(message))


class SentinelTransport(Transport):
    """The same, by way of Sentinels."""

    default_port = SENTINEL_PORT
    Channel = SentinelChannel


def _fault(message: object) -> str:
    if not isinstance(message, dict):
        return "no JSON object"
    properties = message.get("properties")
    if not isinstance(properties, dict):
        return "no properties"
    info = properties.get("delivery_info")
    if not isinstance(properties.get("delivery_tag"), str) or not isinstance(info, dict):
        return "no delivery tag or info"
    if not isinstance(message.get("headers", {}), dict):
        return "its headers are no object"
    return ""


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
        runtime().bury(f"unknown task {str(name)[:100]!r}", _shown(message, body))
        message.ack()

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401
        """Bury a task that Celery cannot read."""
        runtime().bury(f"not a readable task ({type(exc).__name__})", _shown(message, body))
        message.ack()


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
