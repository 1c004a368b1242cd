"""Workers run the messages that stock Celery would run."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, chain, group, signature
from kombu import pools

from tests.support import stock_app
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import clock

CANCEL = "worker.cancel"


@dataclass
class Sender:
    """Sends to one broker, with stock settings but for what a case changes."""

    url: str

    @property
    def app(self) -> Celery:
        """An unconfigured client."""
        return Celery("stranger", broker=self.url)

    def send(self, order_id: object, **options: Any) -> None:
        """Send a cancel with these options of `send_task`."""
        with self.app as app:
            app.send_task(CANCEL, args=["ev", order_id], **options)

    def named(self, order_id: object, **kwargs: Any) -> None:
        """Send a cancel by named arguments."""
        with self.app as app:
            app.send_task(CANCEL, kwargs={"account": "ev", "order_id": order_id, **kwargs})

    def sign(self, order_id: object, app: Celery) -> Any:
        """Return a cancel as a part of a chain or group."""
        return signature(CANCEL, args=["ev", order_id], immutable=True, app=app)

    def configured(self, order_id: object, **conf: Any) -> None:
        """Send a cancel from a client with these settings."""
        with self.app as app:
            app.conf.update(conf)
            app.send_task(CANCEL, args=["ev", order_id])

    def raw(self, order_id: object, change: Callable[[dict[str, Any]], None]) -> None:
        """Put an envelope into the list, changed."""
        body = json.dumps([["ev", order_id], {}, {}]).encode()
        message: dict[str, Any] = {
            "body": base64.b64encode(body).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"task": CANCEL, "id": f"id-{order_id}", "lang": "x"},
            "properties": {
                "delivery_tag": f"tag-{order_id}",
                "delivery_info": {"exchange": "", "routing_key": "celery"},
                "body_encoding": "base64",
            },
        }
        change(message)
        with redis.Redis.from_url(self.url) as client:
            client.lpush("celery", json.dumps(message))


Case = Callable[[Sender, str], None]


def later(seconds: float) -> datetime:
    """Return a time from now."""
    return datetime.fromtimestamp(clock.now_ms() / 1_000 + seconds, UTC)


def of_priority(priority: int) -> Case:
    """Return a cancel of a priority."""
    return lambda sender, order_id: sender.send(order_id, priority=priority)


def encoded(body: object) -> str:
    """Return a body as it lies in an envelope."""
    return base64.b64encode(json.dumps(body).encode()).decode()


def first_protocol(message: dict[str, Any], headers: object) -> None:
    """Make a message one of protocol 1."""
    order_id = message["headers"]["id"].removeprefix("id-")
    task = {"task": CANCEL, "id": f"p-{order_id}", "args": ["ev", order_id], "kwargs": {}}
    message.update(body=encoded(task), headers=headers)


CASES: dict[str, Case] = {
    "positional": lambda s, o: s.send(o),
    "named": lambda s, o: s.named(o),
    "nulls": lambda s, o: s.named(o, pair=None, side=None),
    "queue": lambda s, o: s.send(o, queue="celery"),
    "exchange": lambda s, o: s.send(o, exchange="celery", routing_key="celery"),
    **{f"priority {n}": of_priority(n) for n in range(10)},
    "priority 255": lambda s, o: s.send(o, priority=255),
    "eta": lambda s, o: s.send(o, eta=later(1)),
    "eta past": lambda s, o: s.send(o, eta=later(-60)),
    "countdown": lambda s, o: s.send(o, countdown=0.5),
    "expires": lambda s, o: s.send(o, expires=600),
    "expires at": lambda s, o: s.send(o, expires=later(600)),
    "expires past": lambda s, o: s.send(o, expires=later(-5)),
    "expires text": lambda s, o: s.send(o, expires=later(600).isoformat()),
    "headers": lambda s, o: s.send(o, headers={"a": 1, "nested": {"b": [2]}}),
    "shadow": lambda s, o: s.send(o, shadow="a name"),
    "retries": lambda s, o: s.send(o, retries=3),
    "yaml": lambda s, o: s.send(o, serializer="yaml"),
    "pickle": lambda s, o: s.send(o, serializer="pickle"),
    "msgpack": lambda s, o: s.raw(o, lambda m: m.update({"content-type": "application/x-msgpack"})),
    "zlib": lambda s, o: s.send(o, compression="zlib"),
    "bzip2": lambda s, o: s.send(o, compression="bzip2"),
    "lzma": lambda s, o: s.send(o, compression="lzma"),
    "odd id": lambda s, o: s.send(o, task_id=f"ü / {o}\n:"),
    "same id": lambda s, o: s.send(o, task_id="same"),
    "same id again": lambda s, o: s.send(o, task_id="same"),
    "reply_to": lambda s, o: s.send(o, reply_to="somewhere"),
    "reprs": lambda s, o: s.send(o, argsrepr="(…)", kwargsrepr="{…}"),
    "time limits": lambda s, o: s.send(o, time_limit=5, soft_time_limit=3),
    "wants a result": lambda s, o: s.send(o, ignore_result=False),
    "root and parent": lambda s, o: s.send(o, root_id="r", parent_id="p"),
    "group id": lambda s, o: s.send(o, group_id="g", group_index=3),
    "protocol 1": lambda s, o: s.configured(o, task_protocol=1),
    "always priority 5": lambda s, o: s.configured(o, task_default_priority=5),
    "utc off": lambda s, o: s.configured(o, enable_utc=False),
    "headers null": lambda s, o: s.raw(o, lambda m: first_protocol(m, None)),
    "headers empty": lambda s, o: s.raw(o, lambda m: first_protocol(m, {})),
    "few headers": lambda s, o: s.raw(o, lambda m: m["headers"].pop("lang")),
    "no id": lambda s, o: s.raw(o, lambda m: m["headers"].pop("id")),
    "id null": lambda s, o: s.raw(o, lambda m: m["headers"].update(id=None)),
    "id a number": lambda s, o: s.raw(o, lambda m: m["headers"].update(id=17)),
    "tag a number": lambda s, o: s.raw(o, lambda m: m["properties"].update(delivery_tag=17)),
    "tag shared": lambda s, o: s.raw(o, lambda m: m["properties"].update(delivery_tag="t")),
    "tag shared, too": lambda s, o: s.raw(o, lambda m: m["properties"].update(delivery_tag="t")),
    "two parts": lambda s, o: s.raw(o, lambda m: m.update(body=encoded([["ev", o], {}]))),
    "kwargs null": lambda s, o: s.raw(o, lambda m: m.update(body=encoded([["ev", o], None, {}]))),
    "embed null": lambda s, o: s.raw(o, lambda m: m.update(body=encoded([["ev", o], {}, None]))),
    "eta null": lambda s, o: s.raw(o, lambda m: m["headers"].update(eta=None, expires=None)),
    "eta nonsense": lambda s, o: s.raw(o, lambda m: m["headers"].update(eta="soon")),
    "expires nonsense": lambda s, o: s.raw(o, lambda m: m["headers"].update(expires="soon")),
    "limits null": lambda s, o: s.raw(o, lambda m: m["headers"].update(timelimit=[None, None])),
    "retries null": lambda s, o: s.raw(o, lambda m: m["headers"].update(retries=None)),
    "plain body": lambda s, o: s.raw(
        o,
        lambda m: (
            m.update(body=json.dumps([["ev", o], {}, {}])),
            m["properties"].pop("body_encoding"),
        )[0],
    ),
    "no encoding": lambda s, o: s.raw(o, lambda m: m.pop("content-encoding")),
    "no type": lambda s, o: s.raw(o, lambda m: m.pop("content-type")),
    "priority nonsense": lambda s, o: s.raw(o, lambda m: m["properties"].update(priority="x")),
    "redelivered": lambda s, o: s.raw(
        o, lambda m: m["properties"]["delivery_info"].update(redelivered=True)
    ),
}
ENDS_STOCK = {"no id", "two parts", "no type"}
"""What ends a stock worker; ours continues, and what it does not run is a dead letter."""


def linked(sender: Sender, orders: list[str]) -> None:
    """Send a cancel that has another run after it."""
    with sender.app as app:
        app.send_task(CANCEL, args=["ev", orders[0]], link=sender.sign(orders[1], app))


def chained(sender: Sender, orders: list[str]) -> None:
    """Send a chain."""
    with sender.app as app:
        chain(*(sender.sign(order, app) for order in orders), app=app).apply_async()


def grouped(sender: Sender, orders: list[str]) -> None:
    """Send a group."""
    with sender.app as app:
        group([sender.sign(order, app) for order in orders], app=app).apply_async()


def erring(sender: Sender, orders: list[str]) -> None:
    """Send a cancel that has another run if it fails, which it does not."""
    with sender.app as app:
        app.send_task(CANCEL, args=["ev", orders[0]], link_error=sender.sign(orders[1], app))


PAIRED = {"link": linked, "chain": chained, "group": grouped, "link_error": erring}


@pytest.fixture
def stock(world: World, tmp_path: Path) -> Iterator[str]:
    """The URL of a broker that a stock worker listens to."""
    url = world.redis_url.replace("/0", "/1")
    process = WorkerProcess(
        world.config(),
        tmp_path / "stock.log",
        app="tests.support.stock_app",
        fresh=True,
        environment={"STOCK_BROKER": url},
        options=("-P", "threads", "-c", "4", "-l", "INFO", "-n", "stock@%h"),
    )
    process.start()
    yield url
    process.stop()


def test_workers_run_the_messages_that_stock_celery_runs(world: World, stock: str) -> None:
    """Message by message, both run the same ones; a message that is not run is not lost."""
    # A connection binds a queue once, and those of earlier tests did in a Redis emptied since.
    pools.reset()
    orders = dict(zip(CASES, world.place("ev", len(CASES)), strict=True))
    paired = {name: world.place("ev", 2) for name in PAIRED}
    world.worker()
    for url in (world.redis_url, stock):
        sender = Sender(url)
        for name, case in CASES.items():
            if url != stock or name not in ENDS_STOCK:
                case(sender, orders[name])
        for name, send in PAIRED.items():
            send(sender, paired[name])
        (last,) = world.place("ev") if url == world.redis_url else ("last",)
        sender.send(last, countdown=2)
        if url == world.redis_url:
            eventually(lambda: world.status("ev", last) == "canceled", within_ms=60_000)  # noqa: B023
    client = redis.Redis.from_url(stock, decode_responses=True)

    def stock_ran() -> set[str]:
        rows: Any = client.lrange(stock_app.RAN, 0, -1)
        return set(rows)

    eventually(lambda: "last" in stock_ran(), within_ms=60_000)
    eventually(lambda: not client.exists("celery"))
    names = {order: name for name, order in orders.items()}
    names |= {order: f"{name} {n}" for name, two in paired.items() for n, order in enumerate(two)}
    stocks = {names[order] for order in stock_ran() - {"last"}}
    ours = {name for order, name in names.items() if world.status("ev", order) == "canceled"}
    client.close()
    differs = (ours ^ stocks) - ENDS_STOCK
    assert not differs, (sorted(ours - stocks), sorted(stocks - ours))
    letters = world.ledger().dead(limit=99)
    lost = set(names.values()) - ours - {"link_error 1"}
    assert len(letters) == len(lost), (sorted(lost), [letter.detail for letter in letters])


def test_a_numeric_order_id_is_accepted(world: World) -> None:
    """Stock Celery would pass it to the task unchanged."""
    world.worker()
    (order_id,) = world.place("ix", pair="btc_idr")
    with Celery("stranger", broker=world.redis_url) as app:
        app.send_task(CANCEL, args=["ix", int(order_id), "btc_idr", "buy"])
    eventually(lambda: world.status("ix", order_id) == "canceled")
