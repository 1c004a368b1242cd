"""Shared time does not run ahead as the clock of Redis's host is set back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.stepped_time import KEY, Stepped
from worker.model.constants import OTHERS_MS
from worker.model.limits import Rule
from worker.store.limiter import rule_args

WINDOW_MS, MOST = 1_000, 5
RULES = rule_args((Rule("orders", MOST, WINDOW_MS),))
FLIGHT_MS, EVER = 100, 1 << 52
BACK_MS, BETWEEN_MS, NOTED_MS = 5_000, 100, 50
UNSURE_MS = (0, 1, 45, 500, 5_000)
"""How exactly a caller knows the time. After Redis was frozen it may not do so for seconds."""
STEP_MS, SOON_MS = 12_000, 200


class Host:
    """A Redis whose clock is set back, called by processes that know the time nearly."""

    def __init__(self, url: str) -> None:
        self.stepped = Stepped(url)
        self.store = self.stepped.store()
        self.real_ms = self.stepped.now_ms
        self.members = 0

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.real_ms += ms
        self.stepped.client.incrby(KEY, ms)

    def set_back(self) -> None:
        """Set the clock of Redis's host back."""
        self.stepped.client.decrby(KEY, BACK_MS)

    def shared_ms(self, unsure_ms: int = 0) -> int:
        """Return shared time, as a process learns it that knows it so nearly."""
        return int(self.run("time", unsure_ms)[0])

    def wait_ms(self, unsure_ms: int = 0) -> int:
        """Ask for a slot; return after how long to ask again, 0 if it was granted."""
        self.members += 1
        member = str(self.members)
        wait_ms = int(self.run("reserve", unsure_ms, member, FLIGHT_MS, 1, *RULES))
        if not wait_ms:
            arrived = [{"grant": member, "arrived": True, "rules": ["orders|1"]}]
            self.run("landed", unsure_ms, json.dumps(arrived))
        return wait_ms

    def run(self, name: str, unsure_ms: int, *args: str | int) -> Any:
        """Run a script."""
        times = (self.real_ms - unsure_ms, self.real_ms + unsure_ms, EVER)
        return self.stepped.client.eval(self.store.text(name), 0, "cx:", *map(str, (*args, *times)))


@pytest.fixture
def host(redis_url: str) -> Host:
    """An empty Redis."""
    return Host(redis_url)


@pytest.mark.parametrize("unsure_ms", UNSURE_MS)
def test_shared_time_is_not_ahead_after_a_step_back(host: Host, unsure_ms: int) -> None:
    """By whichever caller notices it first; and it is late by what was not written down at most."""
    host.shared_ms()
    for step in range(1, 4):
        host.advance(BETWEEN_MS)
        host.wait_ms()  # writes the time down
        host.advance(NOTED_MS - 1)
        host.set_back()
        now_ms = host.shared_ms(unsure_ms)
        assert host.real_ms - step * NOTED_MS <= now_ms <= host.real_ms


@pytest.mark.parametrize("unsure_ms", [0, 1, 45, 300])  # with more the call is refused
def test_no_window_is_cut_short(host: Host, unsure_ms: int) -> None:
    """However nearly the next caller knows the time."""
    begun_ms = host.real_ms
    assert all(host.wait_ms() == 0 for _ in range(MOST))
    host.advance(BETWEEN_MS)
    host.set_back()
    assert host.wait_ms(unsure_ms)
    while host.wait_ms(unsure_ms):
        host.advance(1)
    assert begun_ms + WINDOW_MS < host.real_ms <= begun_ms + WINDOW_MS + BETWEEN_MS + 1


def test_a_process_that_starts_right_after_a_step_forgets_no_window(host: Host) -> None:
    """It knows the stepped time alone; until workers can have voted, nothing has left a window."""
    assert all(host.wait_ms() == 0 for _ in range(MOST))
    host.stepped.client.incrby(KEY, STEP_MS)
    until = host.real_ms + STEP_MS + OTHERS_MS
    host.stepped.client.hset("cx:clock", mapping={"unseen": STEP_MS, "unseen_until": until})
    host.real_ms += STEP_MS  # as it knows it
    assert 0 < host.wait_ms() <= SOON_MS
    host.advance(OTHERS_MS)
    assert host.wait_ms() == 0
