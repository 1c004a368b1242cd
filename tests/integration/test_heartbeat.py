"""Heartbeats that follow the strategy's progress: on stepped time, and in real processes."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from typing import Any

import pytest
import redis

from tests.support.polling import eventually
from tests.support.switchboard import Board
from worker import Heartbeat, Producer, StoreUnavailable, SwitchReplaced, SwitchTripped, clock
from worker.client.switch import Switch
from worker.config.settings import Settings
from worker.errors import CancelWorkerError
from worker.model.switches import Armed

pytestmark = pytest.mark.timeout(600)  # an hour of stepped time takes long on a loaded machine

T_MS = 6_000
HOUR_MS = 3_600_000
HOURS_T_MS = 12_000
KNOWN_MS = 62
"""How exactly a process knows shared time by a measurement of a minute ago."""
STUCK = 100


@pytest.fixture
def board(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Board:
    """An empty Redis on a stepped clock, which is this process's clock too."""
    board = Board(redis_url)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: float(board.now_ms))
    return board


class Loop:
    """A strategy's loop and its heartbeats, moved by hand."""

    def __init__(self, board: Board, armed: Armed, timeout_ms: int = T_MS) -> None:
        handle = board.handle(armed, "ev")
        handle.timeout_ms = timeout_ms
        self.errors: list[CancelWorkerError] = []
        self.heart = Heartbeat(handle, on_error=self.errors.append)
        self.due_ms = 0.0

    def run(self, now_ms: int) -> None:
        """Do what the thread does at this time."""
        if now_ms >= self.due_ms:
            self.due_ms = self.heart._beat(self.heart._pulse)  # noqa: SLF001  as its thread does


def test_each_of_a_hundred_stuck_loops_trips_a_timeout_after_its_progress(board: Board) -> None:
    """While the heartbeats' threads run on: not sooner, and not later."""
    dice = random.Random(7)
    loops = [
        Loop(board, board.arm("ev", order_ids=[f"a{n}"], timeout_ms=T_MS)) for n in range(STUCK)
    ]
    begun = board.now_ms
    stuck_from = [begun + dice.randrange(30_000) for _ in loops]
    progress = dict.fromkeys(range(STUCK), begun)
    while board.now_ms < begun + 30_000 + 2 * T_MS:
        board.clock.advance(500)
        for n, loop in enumerate(loops):
            if board.now_ms <= stuck_from[n]:
                loop.heart.progress()
                progress[n] = board.now_ms
            if not loop.errors:
                loop.run(board.now_ms)
    for n, loop in enumerate(loops):
        record = board.switches.get(loop.heart.switch.id)
        assert record is not None
        assert record.state == "tripped"
        assert -T_MS / 3 <= record.deadline_ms - T_MS - progress[n] <= KNOWN_MS
        assert [type(error) for error in loop.errors] == [SwitchTripped]
        with pytest.raises(SwitchTripped):
            loop.heart.progress()


def test_an_hour_with_one_lost_heartbeat_in_a_hundred_trips_nothing(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis loses some; the loop is never stuck."""
    dice = random.Random(11)
    armed = board.arm("ev", order_ids=["a1"], timeout_ms=HOURS_T_MS)
    loop = Loop(board, armed, HOURS_T_MS)
    real, lost = Switch.beat, []

    def beat(switch: Switch, *, since_ms: float | None = None) -> Any:
        if dice.random() < 0.01:
            lost.append(since_ms)
            raise StoreUnavailable("lost")
        return real(switch, since_ms=since_ms)

    monkeypatch.setattr(Switch, "beat", beat)
    until = board.now_ms + HOUR_MS
    while board.now_ms < until:
        board.clock.now_ms += 250
        loop.heart.progress()
        if board.now_ms >= loop.due_ms:
            board.clock.set(board.now_ms)
            loop.run(board.now_ms)
    assert lost
    assert loop.errors == []
    assert board.jobs("ev") == []


@pytest.fixture
def producer(redis_url: str) -> Producer:
    """A strategy's producer; no worker runs."""
    account = {"exchange": "everstrike", "api_key": "key-01", "api_secret": "secret-01"}
    return Producer(Settings(redis_url=redis_url, accounts={"ev": account}))


def beat_ms(switch: Switch) -> int:
    """Return when the last heartbeat counts from."""
    record = switch.record()
    assert record is not None
    return record.beat_ms


def test_a_thread_beats_until_the_loop_is_stuck_or_the_switch_is_taken(producer: Producer) -> None:
    """The error reaches the strategy by its next progress and by the callback."""
    errors: list[CancelWorkerError] = []
    switch = producer.arm("ev", order_ids=["a1"], timeout_ms=4_000)
    armed_ms = beat_ms(switch)

    def beaten(heart: Heartbeat) -> bool:
        heart.progress()
        return beat_ms(switch) > armed_ms + 2_000

    with Heartbeat(switch, on_error=errors.append) as heart:
        eventually(lambda: beaten(heart), what="two heartbeats")
        eventually(lambda: errors, what="tripped, being stuck")
        with pytest.raises(SwitchTripped):
            heart.progress()
    assert [type(error) for error in errors] == [SwitchTripped]

    switch = producer.arm("ev", order_ids=["a2"], timeout_ms=60_000)
    heart = Heartbeat(producer.switch(switch.id, epoch=switch.epoch))
    heart.start()
    heart.start()
    assert sum(each.name == f"heartbeat {switch.id}" for each in threading.enumerate()) == 1
    producer.arm("ev", order_ids=["a2"], timeout_ms=60_000)
    heart._wake.set()  # noqa: SLF001  a third of a minute is long
    eventually(lambda: heart._pulse.ended, what="replaced")  # noqa: SLF001  same
    with pytest.raises(SwitchReplaced):
        heart.progress()
    heart.stop()


def test_a_thread_that_outlives_its_stop_does_not_return_with_the_next_start(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat that waits for Redis longer than `stop` does is the last of its thread."""
    monkeypatch.setattr("worker.client.heartbeat.JOIN_MS", 1)
    account = {"exchange": "everstrike", "api_key": "key-01", "api_secret": "secret-01"}
    settings = Settings(redis_url=redis_url, redis_timeout_ms=10_000, accounts={"ev": account})
    producer = Producer(settings)
    switch = producer.arm("ev", order_ids=["a3"], timeout_ms=60_000)
    heart = Heartbeat(switch)
    name = f"heartbeat {switch.id}"

    def running() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == name]

    with redis.Redis.from_url(redis_url) as control:
        control.client_pause(2_000)  # all that others ask waits
        heart.start()
        (first,) = running()
        heart.stop()
        heart.start()
        both = running()
        control.client_unpause()
    assert first in both
    assert len(both) == 2
    eventually(lambda: first not in running(), what="the first thread has ended")
    assert len(running()) == 1
    heart.stop()
    switch.disarm()


ELSEWHERE = """
import os, sys, threading
kind, url = sys.argv[1:]
if kind == "gevent":
    from gevent import monkey
    monkey.patch_all()
import asyncio
from worker import Heartbeat, Producer
from worker.config.settings import Settings
from tests.support.polling import eventually

account = {"exchange": "everstrike", "api_key": "key-01", "api_secret": "secret-01"}
producer = Producer(Settings(redis_url=url, accounts={"ev": account}))
switch = producer.arm("ev", order_ids=[kind], timeout_ms=6_000)
first = switch.record().beat_ms

def beaten():
    heart.progress()
    return switch.record().beat_ms > first + 1_500

async def loop():
    while not beaten():
        await asyncio.sleep(0.01)

def spin():
    eventually(beaten)

heart = Heartbeat(switch)
if kind == "asyncio":
    with heart:
        asyncio.run(loop())
elif kind == "gevent":
    with heart:
        spin()
else:
    heart.start()
    child = os.fork()
    if child == 0:
        heart.stop()
        heart.progress()
        alone = threading.active_count() == 1
        heart.start()
        spin()
        heart.stop()
        os._exit(0 if alone else 3)
    heart.stop()
    assert os.waitpid(child, 0)[1] == 0
switch.disarm()
print("ok")
"""


def test_it_beats_under_asyncio_gevent_and_after_a_fork(redis_url: str) -> None:
    """While there is progress; in a forked child only if it is started there."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, kind, redis_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for kind in ("asyncio", "gevent", "fork")
    ]
    for process in started:
        with process:
            assert process.communicate(timeout=60) == ("ok\n", "")
