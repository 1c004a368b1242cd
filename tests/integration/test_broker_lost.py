"""A message whose connection is gone before it is acknowledged."""

from __future__ import annotations

import pytest
from kombu import Connection, Queue
from kombu.message import Message

from worker.store.embedded import EmbeddedRedis

QUEUE = Queue("strangers")


def taken(connection: Connection) -> Message:
    """Publish a message and take it, as a worker does."""
    with connection.Producer() as producer:
        producer.publish({"a": 1}, routing_key=QUEUE.name, declare=[QUEUE])
    got: list[Message] = []
    consumer = connection.Consumer([QUEUE], on_message=got.append)
    consumer.consume()
    connection.drain_events(timeout=5)
    (message,) = got
    return message


def test_acknowledging_it_is_an_error_of_the_connection(own_redis: EmbeddedRedis) -> None:
    """One that Celery expects and connects again for; any other would end the worker."""
    connection = Connection(own_redis.url, transport="worker.messaging.broker:Transport")
    message = taken(connection)
    errors = connection.connection_errors
    connection.collect()
    assert message.channel
    message.channel._disconnect_pools()  # noqa: SLF001  as does a connection that is lost
    with pytest.raises(errors):
        message.ack()
