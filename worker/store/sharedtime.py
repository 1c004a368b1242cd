"""Shared time on the connections of one process: measured, and watched for steps.

Shared time is Redis's clock plus an offset that Redis keeps. Where a measurement
shows that it has stepped against the local clock, no call is sent until that is
settled: workers vote, and the offset takes a step back that two of them saw, or
the only one alive; what another worker has lived through is real time, and is
followed. Who is no worker waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import redis
from redis.exceptions import NoScriptError

from worker.model.constants import LATELY_MS, OTHERS_MS, PRESENCE_MS, STEP_MS
from worker.store.scripts import LuaScript
from worker.store.steps import Exchange, Pause, WireSteps
from worker.store.timing import Bounds, Reading

ALWAYS = (0, 0, 1 << 52)
"""What is sent for the times of a call that changes nothing."""
POLL_MS = 20
"""How long is waited before a step is looked at again."""
WIDE_MS, AGAIN_MAX = 50, 2
"""A first reading that leaves more unknown is repeated: after a step of Redis's clock, shared
time goes by the caller that notices it first."""
DOUBTS_MAX = 15
"""How often a process that knows of no earlier time looks again whether workers take the
time that it finds for real: it may have been started right after a step."""


class SteppedError(redis.ConnectionError):
    """Shared time has stepped, and that is not settled yet. Its text is for people."""


class SharedTime:
    """What one process knows of shared time.

    Args:
        script: Returns a script by name.
        prefix: Begins every key of this program.
        local: The local clock, in ms.

    Attributes:
        voter: Name of this worker; empty for who is none, and has no vote.
        suspect: A step was seen outside of `measure`, which is to be called.
    """

    def __init__(
        self, script: Callable[[str], LuaScript], prefix: str, local: Callable[[], float]
    ) -> None:
        self.voter = ""
        self.suspect = False
        self._script = script
        self._prefix = prefix
        self._local = local
        self._bounds: Bounds | None = None
        self._offset_ms = 0
        """The offset of the reading that the bounds were last set by."""
        self._unsettled: Reading | None = None
        """What first showed a step that is not settled yet."""
        self._readings: WeakKeyDictionary[object, Reading] = WeakKeyDictionary()
        """By socket."""

    def reading(self, socket: object, until_ms: float) -> WireSteps[Reading]:
        """Return shared time as measured on a socket.

        Raises: as `measure`, which this may call.
        """
        reading = self._readings.get(socket)
        if reading is None or self.suspect or reading.old(self._local()):
            reading = yield from self.measure(socket, until_ms)
        return reading

    def measure(self, socket: object, until_ms: float) -> WireSteps[Reading]:
        """Measure shared time on a connection, and settle a step if it shows one.

        Args:
            socket: The connection's.
            until_ms: Local time until which that may take.

        Raises:
            SteppedError: A step is not settled in time.
            RedisError: Redis did not answer in time, or refused.
        """
        polls = max(1, round((until_ms - self._local()) / POLL_MS))
        doubts = min(polls // 2, DOUBTS_MAX)
        while True:
            reading, seen_ms = yield from self._read(until_ms)
            if self._bounds is None and doubts and _doubtful(reading, seen_ms):
                doubts -= 1
                yield Pause(POLL_MS)
                continue
            size_ms = self._bounds.step(reading) if self._bounds else 0
            if size_ms and self._taken_back(reading, size_ms):
                size_ms, self._bounds = 0, None
            real = not size_ms or (yield from self._real(reading, size_ms, seen_ms, until_ms))
            if not real:
                polls -= 1
                if not polls or self._local() + POLL_MS > until_ms:
                    raise SteppedError(f"its clock has stepped by {size_ms} ms; waiting")
                yield Pause(POLL_MS)
                continue
            known = None if size_ms else self._bounds
            self._bounds = known.narrowed(reading) if known else Bounds.of(reading)
            if known is None:
                reading = yield from self._narrow(reading, until_ms)
            self._offset_ms = reading.offset_ms
            self._unsettled, self.suspect = None, False
            self._readings[socket] = reading
            return reading

    def earliest(self, local_ms: float) -> int:
        """Return the earliest that shared time can be at a local time; 0 if nothing is known."""
        return self._bounds.earliest(local_ms) if self._bounds else 0

    def latest(self, local_ms: float) -> int:
        """Return the latest that shared time can be at a local time; 0 if nothing is known."""
        return self._bounds.latest(local_ms) if self._bounds else 0

    def observe(self, reading: Reading) -> None:
        """Take in what the reply of a call shows of shared time."""
        if self._bounds is None or self._bounds.step(reading):
            self.suspect = True
        else:
            self._bounds = self._bounds.narrowed(reading)

    def _narrow(self, reading: Reading, until_ms: float) -> WireSteps[Reading]:
        """Read again while much is not known, and there is time; return the last reading."""
        for _ in range(AGAIN_MAX):
            bounds = self._bounds
            left_ms = until_ms - self._local()
            if bounds is None or bounds.width_ms <= WIDE_MS or left_ms < 4 * bounds.width_ms:
                break
            again, _ = yield from self._read(until_ms)
            if bounds.step(again):
                break
            self._bounds, reading = bounds.narrowed(again), again
        return reading

    def _taken_back(self, reading: Reading, size_ms: int) -> bool:
        """Whether workers have taken back a step on that this process took for the time.

        It was started after the step: the offset alone explains what it sees.
        """
        moved_ms = reading.offset_ms - self._offset_ms
        return size_ms < 0 and abs(moved_ms - size_ms) <= STEP_MS

    def _read(self, until_ms: float) -> WireSteps[tuple[Reading, int]]:
        """Return shared time, and when a worker last gave a sign of life."""
        (now, offset, seen), sent_ms = yield from self._ask("time", (), until_ms)
        return Reading(sent_ms, int(now), self._local(), int(offset)), int(seen)

    def _real(
        self, reading: Reading, size_ms: int, seen_ms: int, until_ms: float
    ) -> WireSteps[bool]:
        """Whether time is to be followed where it stepped to; a worker votes on it."""
        if self._unsettled is None:
            self._unsettled = reading
        expected_ms = self.latest(reading.received_ms)
        if self.voter:
            ago_ms = round(reading.received_ms - self._bounds.at_ms) if self._bounds else 0
            args = (self.voter, size_ms, expected_ms, reading.offset_ms, ago_ms)
            verdict, _ = yield from self._ask("step", args, until_ms)
            return bool(verdict == "real")
        if reading.received_ms - self._unsettled.received_ms > PRESENCE_MS:
            return True
        alive = seen_ms > min(expected_ms, reading.shared_ms) - PRESENCE_MS
        # A worker has lived by the time that it is now: at once, or for long enough.
        through = size_ms > 0 and seen_ms > expected_ms + STEP_MS
        lived = self._unsettled.shared_ms + OTHERS_MS < seen_ms < reading.shared_ms + STEP_MS
        return not alive or through or lived

    def _ask(
        self, name: str, args: Sequence[str | float], until_ms: float
    ) -> WireSteps[tuple[Any, float]]:
        """Run a script about time; return its answer, and when it was sent."""
        script = self._script(name)
        while True:
            sent_ms = self._local()
            if until_ms <= sent_ms:
                raise redis.TimeoutError("no time is left")
            command = ("EVALSHA", script.sha, 0, self._prefix, *args, *ALWAYS)
            (answer,) = yield Exchange((command,), until_ms - sent_ms)
            if isinstance(answer, NoScriptError):
                load = ("SCRIPT LOAD", script.text)
                yield Exchange((load,), until_ms - self._local(), certain=True)
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer, sent_ms


def _doubtful(reading: Reading, seen_ms: int) -> bool:
    """Whether workers lived a moment ago by an earlier time, which may have stepped since."""
    return OTHERS_MS < reading.shared_ms - seen_ms < LATELY_MS
