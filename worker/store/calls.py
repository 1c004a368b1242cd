"""How a script is called, apart from the connection: blocking and asyncio stores share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import NoScriptError

from worker.errors import NotReplicated
from worker.store import scripts
from worker.store.guarded import LEAST_MS
from worker.store.scripts import LuaScript
from worker.store.sharedtime import SharedTime
from worker.store.steps import Drop, Exchange, Key, Pause, WireSteps
from worker.store.timing import Reading

NOT_RUN = (redis.exceptions.BusyLoadingError, redis.AuthenticationError)
"""Errors of a connection that are Redis's answers: what was sent does not run later."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a script, however often it must be sent.

    Attributes:
        called_ms: When it was made, on the local clock.
        budget_ms: How long it is waited for.
        promised: Whether its caller relies on it.
    """

    script: LuaScript
    args: tuple[str | float, ...]
    called_ms: float
    budget_ms: float
    promised: bool

    @property
    def given_up_ms(self) -> float:
        """When it is given up, on the local clock."""
        return self.called_ms + self.budget_ms

    def command(self, reading: Reading) -> tuple[Any, ...]:
        """Return what is sent to Redis."""
        called = reading.earliest(self.called_ms), reading.latest(self.called_ms)
        valid = reading.earliest(self.given_up_ms)
        return ("EVALSHA", self.script.sha, 0, *self.args, *called, valid)


class Caller:
    """What a store knows of its scripts, keys and shared time.

    Args:
        prefix: Begins every key of this program.
        clock: Lua that defines `raw_ms()`, in place of `lib/raw_time`; None for that.
        replicas: How many must have what is promised, and for how many ms at
            most that is waited for.
        local: The local clock, in ms.
    """

    def __init__(
        self,
        *,
        prefix: str,
        clock: str | None,
        replicas: tuple[int, int],
        local: Callable[[], float],
    ) -> None:
        self.prefix = prefix
        self._replicas = replicas
        self._raw_time = scripts.source("lib/raw_time") if clock is None else clock
        self.local_ms = local
        self._scripts: dict[str, LuaScript] = {}
        self.time = SharedTime(self._script, prefix, local)

    def key(self, name: str) -> str:
        """Return the full name of a key."""
        return self.prefix + name

    def text(self, name: str) -> str:
        """Return the whole text of a script, as Redis gets it."""
        return scripts.whole(name, self._raw_time)

    def sha(self, name: str) -> str:
        """Return what Redis knows a script by, once it has been loaded."""
        return self._script(name).sha

    def call(
        self, name: str, args: tuple[str | float, ...], *, budget_ms: float, promised: bool
    ) -> Call:
        """Return a call of a script that is made now."""
        return Call(self._script(name), (self.prefix, *args), self.local_ms(), budget_ms, promised)

    def named(
        self, commands: Iterable[tuple[str | float, ...]]
    ) -> tuple[tuple[str | float, ...], ...]:
        """Return commands with their keys' full names."""
        return tuple(
            tuple(self.key(word) if isinstance(word, Key) else word for word in command)
            for command in commands
        )

    def calling(self, call: Call, socket: object) -> WireSteps[Any]:
        """Run a script, and again if Redis did not know it or refused it as late.

        If it is promised to replicas, wait for them too, on the same connection, as
        `WAIT` asks for: for all that the master had received by then, so also for what
        an earlier call has recorded, when this one finds nothing left to do.

        Args:
            call: Which script, and until when.
            socket: Of the connection, which is connected.

        Raises:
            NotReplicated: It has run, but too few replicas have it.
            RedisError: Redis did not answer, or refused.
        """
        wanted, within_ms = self._replicas if call.promised else (0, 0)
        waiting = (("WAIT", wanted, within_ms),) if wanted > 0 else ()
        reading = yield from self.time.reading(socket, call.given_up_ms)
        while True:
            try:
                answers = yield self._exchange(call, (call.command(reading), *waiting))
            except Exception as error:
                if call.promised and not isinstance(error, NOT_RUN):
                    yield Drop()
                    yield Pause(call.given_up_ms - self.local_ms())
                raise
            if isinstance(answers[0], NoScriptError):
                load = ("SCRIPT LOAD", call.script.text)
                yield self._exchange(call, (load,), certain=True)
            elif _is_late(answers[0]) and self.local_ms() < call.given_up_ms:
                reading = yield from self.time.measure(socket, call.given_up_ms)
            else:
                break
        for each in answers:
            if isinstance(each, Exception):
                raise each
        if wanted and int(answers[1]) < wanted:
            raise NotReplicated(
                f"recorded, but {answers[1]} of {wanted} replicas have it after {within_ms} ms; "
                f"it is lost if the master is lost now; asking again is safe"
            )
        return answers[0]

    def _exchange(
        self, call: Call, commands: tuple[tuple[Any, ...], ...], *, certain: bool = False
    ) -> Exchange:
        """Return a step that takes what connecting and measuring have left of a call's time."""
        left_ms = call.given_up_ms - self.local_ms()
        bound_ms = None if left_ms > call.budget_ms - LEAST_MS else left_ms
        return Exchange(commands, bound_ms, certain=certain)

    def _script(self, name: str) -> LuaScript:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = LuaScript.of(self.text(name))
        return script


def _is_late(answer: object) -> bool:
    return isinstance(answer, redis.ResponseError) and str(answer).startswith("LATE ")
