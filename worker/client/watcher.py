"""Wait for many jobs with one task: it asks for their states in batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from worker.client.orders import OrderResult, reading_orders
from worker.client.ticket import POLL_FIRST_MS, POLL_MAX_MS, Result, read_result
from worker.errors import StoreUnavailable
from worker.model.jobs import State
from worker.store.async_store import AsyncStore
from worker.store.job_steps import reading_jobs, reading_states

log = logging.getLogger(__name__)

DOWN_S = 1.0
"""Pause of a callback's wait after Redis did not answer."""
STATES = 100
"""Jobs whose states one round trip reads."""
RECORDS = 25
"""Ended jobs whose records one round trip reads, and waiting tasks that are woken at once."""


class Watcher:
    """Waits for the jobs of one producer."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._waiting: dict[str, list[asyncio.Future[Result]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._pause_ms = POLL_FIRST_MS
        self._calls: set[asyncio.Task[None]] = set()

    async def result(self, job_id: str) -> Result:
        """Return the current state of a job.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        (job,) = await self._store.carry(reading_jobs([job_id]))
        return read_result(job)

    async def orders(self, job_id: str) -> list[OrderResult]:
        """Return what a job did, order by order.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        return await self._store.carry(reading_orders(job_id))

    async def ended(self, job_id: str, *, timeout_ms: float | None) -> Result:
        """Wait until a job has ended, at most `timeout_ms`; return its state then.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(future)
        self._pause_ms = POLL_FIRST_MS
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="cancel-worker watcher")
        try:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
                return await future
        except TimeoutError:
            return await self.result(job_id)
        finally:
            self._forget(job_id, future)

    def call(self, job_id: str, callback: Callable[[Result], None]) -> None:
        """Have a function called in the event loop once a job has ended."""
        task = asyncio.create_task(self._call(job_id, callback))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def close(self) -> None:
        """Stop; who still waits gets `CancelledError`, and no callback is called any more."""
        for task in self._calls:
            task.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()

    async def _call(self, job_id: str, callback: Callable[[Result], None]) -> None:
        while True:
            try:
                result = await self.ended(job_id, timeout_ms=None)
                break
            except StoreUnavailable as error:
                log.warning("the outcome of job %s cannot be read: %s", job_id, error)
                await asyncio.sleep(DOWN_S)
        try:
            callback(result)
        except Exception:
            log.exception("the callback of job %s failed", job_id)

    async def _watch(self) -> None:
        while self._waiting:
            try:
                found = await self._look()
            except Exception as error:  # noqa: BLE001  the waiting tasks judge it
                await self._end(dict.fromkeys(self._waiting, error))
                continue
            self._pause_ms = POLL_FIRST_MS if found else min(POLL_MAX_MS, self._pause_ms * 1.5)
            await asyncio.sleep(self._pause_ms / 1_000)

    async def _look(self) -> int:
        """Read the state of every job that is waited for; return how many have ended."""
        found = 0
        for part in _parts([*self._waiting], STATES):
            states = await self._store.carry(reading_states(part))
            over = [job for job, state in zip(part, states, strict=True) if state != State.PENDING]
            for ended in _parts(over, RECORDS):
                jobs = await self._store.carry(reading_jobs(ended))
                results = map(read_result, jobs)
                await self._end(
                    {
                        job_id: result
                        for job_id, result in zip(ended, results, strict=True)
                        if result.state is not State.PENDING
                    }
                )
            found += len(over)
        return found

    async def _end(self, results: dict[str, Result] | dict[str, Exception]) -> None:
        for part in _parts([*results], RECORDS):
            for job_id in part:
                for future in self._waiting.pop(job_id, ()):
                    _resolve(future, results[job_id])
            await asyncio.sleep(0)

    def _forget(self, job_id: str, future: asyncio.Future[Result]) -> None:
        futures = self._waiting.get(job_id, [])
        if future in futures:
            futures.remove(future)
            if not futures:
                del self._waiting[job_id]


def _resolve(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():
        return
    if isinstance(result, StoreUnavailable):
        future.set_exception(StoreUnavailable(*result.args))
    elif isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[first : first + size] for first in range(0, len(ids), size))
