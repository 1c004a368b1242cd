"""No window of a limit holds more than its rule, also as the clock of Redis's host is set back."""

from __future__ import annotations

import json

import pytest

from tests.support.stepped_time import KEY, Stepped
from worker.model.constants import OTHERS_MS
from worker.model.limits import Rule
from worker.store.limiter import rule_args

WINDOW_MS, MOST = 1_000, 5
RULES = rule_args((Rule("orders", MOST, WINDOW_MS),))
FLIGHT_MS, EVER = 100, 1 << 52
BACK_MS, BETWEEN_MS = 5_000, 100
STEP_MS, SOON_MS = 12_000, 200
AHEAD_MS = 45
"""By how much later than it is a process takes the time to be: it knows it no more exactly."""


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

    def granted(self, ahead_ms: int = 0) -> bool:
        """Ask for a slot, as a process that takes the time to be later by so much."""
        return self.wait_ms(ahead_ms) == 0

    def wait_ms(self, ahead_ms: int) -> int:
        """Return after how long to ask again; 0 if a slot was granted."""
        self.members += 1
        member = str(self.members)
        wait_ms = self.run("reserve", ahead_ms, member, FLIGHT_MS, 1, *RULES)
        if wait_ms:
            return int(str(wait_ms))
        arrived = [{"grant": member, "arrived": True, "rules": ["orders|1"]}]
        self.run("landed", ahead_ms, json.dumps(arrived))
        return 0

    def run(self, name: str, ahead_ms: int, *args: str | int) -> object:
        """Run a script."""
        times = (self.real_ms + ahead_ms, EVER)
        return self.stepped.client.eval(self.store.text(name), 0, "cx:", *args, *times)  # type: ignore[arg-type]


@pytest.fixture
def host(redis_url: str) -> Host:
    """An empty Redis."""
    return Host(redis_url)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_clock_that_is_set_back_shortens_no_window(host: Host, steps: int) -> None:
    """Who notices it takes the time to be a little later than it is; that adds up."""
    begun_ms = host.real_ms
    assert all(host.granted() for _ in range(MOST))
    for _ in range(steps):
        host.advance(BETWEEN_MS)
        host.set_back()
        assert not host.granted(AHEAD_MS)
    while not host.granted(steps * AHEAD_MS):
        host.advance(1)
    assert host.real_ms > begun_ms + WINDOW_MS
    assert host.real_ms <= begun_ms + WINDOW_MS + steps * (BETWEEN_MS + AHEAD_MS) + 1


def test_later_windows_are_as_long_as_ever(host: Host) -> None:
    """What the step has made uncertain has left them."""
    assert host.granted()
    host.advance(BETWEEN_MS)
    host.set_back()
    host.granted(AHEAD_MS)
    host.advance(3 * WINDOW_MS)
    begun_ms = host.real_ms
    assert all(host.granted(AHEAD_MS) for _ in range(MOST))
    while not host.granted(AHEAD_MS):
        host.advance(1)
    assert host.real_ms == begun_ms + WINDOW_MS + 1


def test_a_process_that_starts_right_after_a_step_forgets_no_window(host: Host) -> None:
    """It knows the stepped time alone; until workers can have voted, nothing has left a window."""
    assert all(host.granted() for _ in range(MOST))
    host.stepped.client.incrby(KEY, STEP_MS)
    until = host.real_ms + STEP_MS + OTHERS_MS
    host.stepped.client.hset("cx:clock", mapping={"unseen": STEP_MS, "unseen_until": until})
    assert 0 < host.wait_ms(STEP_MS) <= SOON_MS
    host.advance(OTHERS_MS)
    assert host.granted(STEP_MS)
