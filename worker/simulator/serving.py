"""A simulator as a process of its own."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Mapping

from worker.simulator.simulator import Simulator
from worker.simulator.venues import EXCHANGES


def serve(
    host: str, port: int, seed: int, *, on_ready: Callable[[Mapping[str, str]], None]
) -> None:
    """Serve until SIGINT or SIGTERM. Call it from the main thread.

    Args:
        host: The one address to bind.
        port: 0 for any that is free.
        seed: Of all that is left to chance.
        on_ready: Called once with the base URLs: `control` for
            `SimulatorClient`, and one for each exchange.

    Raises:
        OSError: The address cannot be bound. Nothing is left running.
    """
    waiting, waker = socket.socketpair()

    def wake(_number: int, _frame: object) -> None:
        waker.send(b"x")

    with waiting, waker:
        former = {number: signal.signal(number, wake) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with Simulator(seed, host, port) as simulator:
                urls = {name: simulator.url(name) for name in EXCHANGES}
                on_ready({"control": simulator.base_url()} | urls)
                waiting.recv(1)
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
