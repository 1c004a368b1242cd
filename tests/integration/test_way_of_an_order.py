"""The way of an order id, from `Producer.cancel` to the wire and back, is short."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import worker
from tests.support.world import World
from worker import Outcome, Producer, tasks
from worker.messaging import runtime
from worker.store.doorbell import BELL

ROOT = Path(worker.__file__).parent
SENDS = ("send", "sendall")
FUNCTIONS_MAX = 30
MODULES_MAX = 16


@contextmanager
def passed(functions: set[tuple[str, str]]) -> Iterator[None]:
    """Collect the functions of this program that are running whenever bytes are sent.

    Args:
        functions: Receives the module and the name of each.
    """

    def look(frame: FrameType | None, event: str, called: object) -> None:
        of_socket = isinstance(getattr(called, "__self__", None), socket.socket | ssl.SSLSocket)
        if event != "c_call" or not of_socket or getattr(called, "__name__", "") not in SENDS:
            return
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                functions.add((str(path.relative_to(ROOT)), frame.f_code.co_qualname))
            frame = frame.f_back

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def cancel(producer: Producer, order_id: str) -> Outcome:
    """Cancel an order as a strategy and a worker do, each in this thread."""
    ticket = producer.cancel("ev", order_id)
    tasks.cancel.push_request(id=ticket.id, **{BELL: "1"})
    try:
        tasks.cancel.run(account="ev", order_id=order_id, job=ticket.id)
    finally:
        tasks.cancel.pop_request()
    return ticket.wait(timeout_ms=5_000).outcome


def test_cancel_passes_few_functions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer reads the way of an order id in one sitting.

    Counted are the functions that are running whenever the producer, the worker or the
    ticket sends bytes to Redis or to the exchange.
    """
    parts = runtime.Runtime(world.settings())
    monkeypatch.setattr(runtime, "_runtime", parts)
    parts.dispatcher.register()
    producer = world.producer()
    first, order_id = world.place("ev", 2)
    assert cancel(producer, first) is Outcome.CANCELED, "connections are open from here on"
    functions: set[tuple[str, str]] = set()
    with passed(functions):
        assert cancel(producer, order_id) is Outcome.CANCELED
    modules = {module for module, _ in functions}
    assert ("gateway/http/transport.py", "Transport.send") in functions
    assert ("client/producer.py", "Producer.cancel") in functions
    assert len(functions) <= FUNCTIONS_MAX, sorted(functions)
    assert len(modules) <= MODULES_MAX, sorted(modules)
