"""An `AsyncProducer` behind blocking calls, so that the tests of `Producer` judge both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, cast

from worker import AsyncCountdown, AsyncProducer, AsyncSwitch, AsyncTicket, Producer
from worker.config.client_settings import ProducerSettings

KINDS = ("blocking", "awaited")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, awaitable: Any) -> Any:
        """Await something there, from any thread."""

        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result()

    def close(self) -> None:
        """End it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class _Blocking:
    """Something with awaited calls; each blocks here, and what it returns is wrapped too."""

    def __init__(self, loop: _Loop, inner: Any) -> None:
        self._loop = loop
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            # In the loop, as what makes a connection must be.
            async def called() -> Any:
                result = found(*args, **options)
                return await result if inspect.isawaitable(result) else result

            return self._wrapped(self._loop.run(called()))

        return call

    def _wrapped(self, result: Any) -> Any:
        if isinstance(result, list):
            return [self._wrapped(each) for each in result]
        if isinstance(result, AsyncCountdown):
            return _Entered(self._loop, self._loop.run(result.__aenter__()), result)
        if isinstance(result, AsyncSwitch | AsyncTicket):
            return _Entered(self._loop, result, result)
        return result


class _Entered(_Blocking):
    """A switch, armed already, for a `with` block; or a ticket."""

    def __init__(self, loop: _Loop, inner: Any, manager: Any) -> None:
        super().__init__(loop, inner)
        self._manager = manager

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run(self._manager.__aexit__(*error))


class Makers:
    """Makes producers of one kind, all with the interface of `Producer`."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._made: list[_Blocking] = []
        self._loop: _Loop | None = None

    def __call__(self, settings: ProducerSettings) -> Producer:
        """Return a producer."""
        if self._kind == "blocking":
            return Producer(settings)
        if self._loop is None:
            self._loop = _Loop()

        async def make() -> AsyncProducer:
            return AsyncProducer(settings)

        made = _Blocking(self._loop, self._loop.run(make()))
        self._made.append(made)
        return cast("Producer", made)

    def close(self) -> None:
        """Close all that was made."""
        for made in self._made:
            made.aclose()
        if self._loop is not None:
            self._loop.close()


@contextmanager
def makers(kind: str) -> Iterator[Makers]:
    """Make producers, and close them at the end."""
    made = Makers(kind)
    try:
        yield made
    finally:
        made.close()
