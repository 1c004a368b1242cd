"""Messages of other clients: plain Celery messages, and invalid bytes."""

from __future__ import annotations

import json

import pytest
from celery import Celery

from tests.support.plain_messages import SOON, envelope
from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import Outcome, State


@pytest.fixture
def client(world: World) -> Celery:
    """Another Celery client: defaults alone."""
    return Celery("stranger", broker=world.redis_url)


EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
RUBBISH: dict[str, bytes] = {
    "no JSON": b"\x00\x01 rubbish",
    "no UTF-8": b"\xff\xfe",
    "empty": b"",
    "a number": b"42",
    "a list": b"[]",
    "an empty object": b"{}",
    "too deep": b"[" * 100_000,
    "no properties": json.dumps({"body": "x", "headers": {}}).encode(),
    "no delivery info": json.dumps(envelope([], properties={"delivery_tag": "x"})).encode(),
    "properties of another kind": json.dumps(envelope([], properties=[1])).encode(),
    "headers of another kind": json.dumps(envelope([], headers="x")).encode(),
    "body no base64": json.dumps(envelope([], body="%%%")).encode(),
    "pickle": json.dumps(
        envelope([], **{"content-type": "application/x-python-serialize"})
    ).encode(),
    "unknown content": json.dumps(envelope([], **{"content-type": "text/x"})).encode(),
    "body no task": json.dumps(envelope(7)).encode(),
    "arguments of another kind": json.dumps(envelope([1, 2, EMBED])).encode(),
    "no headers": json.dumps(envelope([[], {}, EMBED], headers={})).encode(),
    "unknown task": json.dumps(
        envelope([[], {}, EMBED], headers={"task": "os.system", "id": "1", "lang": "py"})
    ).encode(),
}


def test_a_plain_celery_message_cancels_an_order(world: World, client: Celery) -> None:
    """Any Celery client's message is recorded and done; sent twice, it is one job."""
    world.tables = SOON
    world.worker()
    orders = world.place("ev", 2)
    sent = client.send_task("worker.cancel", args=["ev", orders[0]])
    client.send_task("worker.cancel", kwargs={"account": "ev", "order_id": orders[1]})
    ticket = eventually(lambda: world.producer().ticket(f"t-{sent.id}"))
    assert ticket is not None
    assert ticket.wait(timeout_ms=5_000).outcome is Outcome.CANCELED
    eventually(lambda: world.status("ev", orders[1]) == "canceled")
    client.send_task("worker.cancel", args=["ev", orders[0]], task_id=sent.id)
    client.send_task("worker.cancel", args=["nobody", "1"])
    eventually(lambda: world.ledger().dead_count() == 1)
    cancels = [a for a in world.sim.journal() if orders[0] in a.order_ids]
    assert len(cancels) == 1


WRONG: list[tuple[list[object], dict[str, object], str]] = [
    ([], {}, "account is missing"),
    (["ev"], {}, "order_id is missing"),
    (["ev", 7.5], {}, "must be text"),
    (["ev", "a1", "p", "buy", "j", "c", "x"], {}, "7 arguments"),
    (["ev"], {"order_id": "a1", "when": "now"}, "unknown argument"),
    (["ev", "a1"], {"account": "ev"}, "given twice"),
    (["ix", "1"], {}, "pair"),
    (["nobody", "1"], {}, "unknown account"),
    (["ev", "x" * 10_000_000], {}, "bytes"),
    (["ev", KEYS["ev"][2] + "\n"], {}, "order"),
]


def test_wrong_messages_are_dead_letters(world: World, client: Celery) -> None:
    """An invalid cancel is kept with its reason, without secrets, and nothing is sent."""
    world.tables = SOON
    world.worker()
    ledger = world.ledger()
    for n, (args, kwargs, reason) in enumerate(WRONG, start=1):
        client.send_task("worker.cancel", args=args, kwargs=kwargs)
        eventually(lambda: ledger.dead_count() == n)  # noqa: B023
        (letter,) = ledger.dead(limit=1)
        assert reason in letter.detail, letter
        assert letter.state is State.DEAD
        assert KEYS["ev"][2] not in letter.raw + letter.detail
    assert not world.sim.journal()


def test_invalid_messages_never_stop_a_worker(world: World) -> None:
    """Each kind becomes a dead letter, and the same process continues."""
    worker = world.worker()
    redis = world.store().client
    for queue in ("celery", "everstrike"):
        for raw in RUBBISH.values():
            redis.lpush(queue, raw)
    (order_id,) = world.place("ev")
    assert world.producer().cancel("ev", order_id).wait(timeout_ms=10_000).proven
    eventually(
        lambda: world.ledger().dead_count() == 2 * len(RUBBISH), what="all in the dead letters"
    )
    letters = world.ledger().dead(limit=100)
    assert len(letters) == 2 * len(RUBBISH)
    assert all(letter.detail for letter in letters)
    assert worker.process is not None
    assert worker.process.poll() is None
