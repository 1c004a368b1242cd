"""One reader of the state for all event streams of this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool

from worker.errors import StoreUnavailable
from worker.model.authority import Token
from worker.model.switches import SwitchRecord
from worker.store.switch_listing import every_switch
from worker.web import state
from worker.web.parts import Parts

PERIOD_S = 0.5
LOOK_BACK = 200
"""Most ended switches that are shown."""
QUIET = 8
"""Rounds without a change after which the time alone is sent, to keep the stream open."""
Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class View:
    """What was read at one moment; `error` if Redis did not answer."""

    number: int = 0
    known: state.Known | None = None
    switches: tuple[SwitchRecord, ...] = ()
    error: str = ""


@dataclass(slots=True)
class _Seen:
    """What one stream has sent."""

    status: dict[str, Any] = field(default_factory=dict)
    switches: dict[str, dict[str, Any]] = field(default_factory=dict)


class Feed:
    """Reads the state while a stream follows it.

    A stream that is read slowly skips states; it never holds more than one.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._view = View()
        self._changed = asyncio.Condition()
        self._followers = 0
        self._task: asyncio.Task[None] | None = None

    async def follow(self, token: Token) -> AsyncIterator[Event]:
        """Yield events: first the whole state, then what changes."""
        self._followers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        seen, number, quiet = _Seen(), 0, 0
        try:
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._view.number > number)  # noqa: B023
                    view = self._view
                number = view.number
                events = _differences(view, seen, token)
                quiet = 0 if events else quiet + 1
                if quiet >= QUIET and view.known:
                    quiet = 0
                    events = [("time", {"now_ms": view.known.reading.now_ms})]
                for event in events:
                    yield event
        finally:
            self._followers -= 1

    async def _read(self) -> None:
        while self._followers:
            view = await run_in_threadpool(self._look, self._view.number + 1)
            async with self._changed:
                self._view = view
                self._changed.notify_all()
            await asyncio.sleep(PERIOD_S)

    def _look(self, number: int) -> View:
        try:
            known = state.look(self._parts)
            switches = tuple(every_switch(self._parts.switches, look_back=LOOK_BACK))
        except StoreUnavailable as error:
            return View(number, error=str(error))
        return View(number, known, switches)


def _differences(view: View, seen: _Seen, token: Token) -> list[Event]:
    """Return the events that bring a stream from what it has sent to a view."""
    if view.known is None:
        if seen.status.get("error") == view.error:
            return []
        seen.status = {"error": view.error}
        return [("unavailable", seen.status)]
    events: list[Event] = []
    now_ms = view.known.reading.now_ms
    status = state.status(view.known, token)
    if _without_time(status) != _without_time(seen.status):
        seen.status = status
        events.append(("status", status))
    switches = {
        record.id: record.describe(now_ms)
        for record in view.switches
        if token.covers(record.account)
    }
    changed = [
        _change(seen.switches.get(key), value)
        for key, value in switches.items()
        if _without_time(value) != _without_time(seen.switches.get(key, {}))
    ]
    gone = [key for key in seen.switches if key not in switches]
    if changed or gone:
        events.append(("switches", {"now_ms": now_ms, "changed": changed, "gone": gone}))
    seen.switches = switches
    return events


def _change(before: Mapping[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """Return a switch, or of one that was sent the fields that differ."""
    if before is None:
        return now
    return {"id": now["id"]} | {
        name: value for name, value in now.items() if before.get(name) != value
    }


def _without_time(fields: Mapping[str, Any]) -> dict[str, Any]:
    named = [worker["name"] for worker in fields.get("workers", ())]
    return {name: value for name, value in fields.items() if name not in TIMES} | {"named": named}


TIMES = ("now_ms", "left_ms", "tick_ago_ms", "workers")
"""Fields that change without any event."""
