"""Short native switches: no failure trips one, and no timer outlives its deadline."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing, suppress
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import Switch, clock

BEAT_MS = 300
TIMEOUTS_MS = {"ix": 4_000, "it": 8_000}
"""Just above the shortest that the exchange is used for."""
WAY_MS = 1_500


class SlowWay:
    """A way to the exchange on which each request takes long, given up or not."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Pass on nothing more."""
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                for ends in ((near, far, WAY_MS), (far, near, 0)):
                    self._threads.append(threading.Thread(target=self._pass, args=ends))
                    self._threads[-1].start()

    def _pass(self, from_: socket.socket, to: socket.socket, delay_ms: float) -> None:
        with suppress(OSError):
            while data := from_.recv(65_536):
                clock.sleep_ms(delay_ms)
                to.sendall(data)


def beaten(switches: list[Switch], for_ms: float) -> None:
    """Beat for a while; each must stay armed all along."""
    until = clock.monotonic_ms() + for_ms
    while clock.monotonic_ms() < until:
        for switch in switches:
            switch.beat()
        clock.sleep_ms(BEAT_MS)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("alias", list(TIMEOUTS_MS))
def test_no_failure_trips_a_short_native_switch(world: World, alias: str) -> None:
    """A reply is lost, then a worker is killed mid-request."""
    world.worker()
    world.worker()
    timeout_ms = TIMEOUTS_MS[alias]
    switch = world.producer().arm(alias, pairs=["btc_idr"], timeout_ms=timeout_ms)
    assert switch.held == "exchange"
    (order,) = world.place(alias, pair="btc_idr")
    beaten([switch], timeout_ms)
    assert switch.beat().in_time
    world.sim.fault_next("accept_then_drop", exchange="indodax", paths=("countdown",))
    beaten([switch], timeout_ms)
    seen = len(world.sim.journal())
    world.sim.set_option("delay_ms", 2_400)
    world.sim.fault_next("delay", exchange="indodax", paths=("countdown",))

    def holder() -> str:
        switch.beat()
        if len(world.sim.journal()) == seen:
            return ""
        client = world.store().client
        names = [f"cx:lane:indodax:{alias}", f"cx:lane:indodax:{alias}:switch"]
        held: list[Any] = [client.hget(name, "holder") for name in names]
        return next((str(each) for each in held if each), "")

    victim = eventually(holder, pause_ms=20)
    os.kill(int(victim.split(":")[1]), signal.SIGKILL)
    beaten([switch], 2 * timeout_ms)
    assert switch.beat().in_time
    assert world.status(alias, order) == "open"


@pytest.mark.timeout(120)
def test_on_a_slow_connection_workers_hold_the_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange's timer is stopped, and the orders are canceled in time."""
    port = int(world.sim.base_url().rpartition(":")[2])
    with closing(SlowWay(port)) as way:
        account = world.account

        def slow(alias: str) -> dict[str, Any]:
            table = dict(account(alias))
            table["base_url"] = table["base_url"].replace(f":{port}", f":{way.port}")
            return table

        monkeypatch.setattr(world, "account", slow)
        world.worker()
        producer = world.producer()
        switch = producer.arm("ix", pairs=["btc_idr"], timeout_ms=8_000)
        (order,) = world.place("ix", pair="btc_idr")
        key = KEYS["ix"][1]

        def taken_over() -> bool:
            beat, record = switch.beat(), switch.record()
            assert record is not None
            timers = [timer for timer in world.sim.timers() if timer.api_key == key]
            if beat.in_time and timers:
                assert timers[0].fires_at_ms <= record.deadline_ms
            return record.held == "workers" and record.fires_ms is None and not timers

        eventually(taken_over, within_ms=40_000, pause_ms=200)
        record = switch.record()
        assert record is not None
        assert record.state == "armed"
        assert producer.arm("ix", pairs=["eth_idr"], timeout_ms=8_000).held == "workers"
        eventually(lambda: world.status("ix", order) == "canceled", within_ms=40_000, pause_ms=20)
        world.close()
