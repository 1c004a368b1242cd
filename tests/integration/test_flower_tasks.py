"""What a monitor such as Flower receives of a worker's tasks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.events.state import State

from tests.support.polling import eventually
from tests.support.world import World
from worker.celery_app import make_app
from worker.model.messages import CANCEL, TICK

BURST = 60
SINGLES = 10


@contextmanager
def monitor(world: World) -> Iterator[Any]:
    """Collect the events of all workers, as Flower does."""
    app = make_app(world.settings())
    state: Any = State()
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": state.event}, app=app)

        def read() -> None:
            for _ in receiver.consume(limit=None, timeout=None, wakeup=False):
                pass

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        yield state
        receiver.should_stop = True
        thread.join(10)
    app.close()


def test_every_ended_task_is_shown_with_its_outcome(world: World) -> None:
    """Events of a burst on many threads are not lost; ticks are not listed."""
    world.worker(options=("-E",))
    producer = world.producer()
    with monitor(world) as state:
        eventually(lambda: state.workers, what="the worker's heartbeat")
        app = make_app(world.settings())
        app.send_task(TICK)
        app.close()
        tickets = [producer.cancel("ev", order) for order in world.place("ev", BURST)]
        assert all(ticket.wait(timeout_ms=20_000).proven for ticket in tickets)
        for order in world.place("ev", SINGLES):
            assert producer.cancel("ev", order).wait(timeout_ms=10_000).proven
        store = world.store()
        eventually(lambda: store.client.exists(store.key("ticked")), what="the tick has run")

        def unfinished() -> list[str]:
            return [str(task) for task in state.tasks.values() if task.state != "SUCCESS"]

        eventually(lambda: not unfinished(), what=f"all tasks have ended: {unfinished()}")
        names = {task.name for task in state.tasks.values()}
        assert CANCEL in names
        assert TICK not in names
        results = [str(t.result) for t in state.tasks.values() if t.name == CANCEL]
        assert results.count("'CANCELED'") >= SINGLES
        assert {result[:8] for result in results} <= {"'CANCELE", "'pending"}
