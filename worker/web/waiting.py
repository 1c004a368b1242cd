"""Long polls: one loop reads all awaited jobs together."""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.concurrency import run_in_threadpool

from worker.errors import StoreUnavailable
from worker.model.jobs import State
from worker.store.listing import Listing

FIRST_S = 0.002
LONGEST_S = 0.05


class Waiting:
    """Waits for jobs to end, for any number of clients of one event loop."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._awaited: Counter[str] = Counter()
        self._ended = asyncio.Condition()
        self._done: set[str] = set()
        self._failed: StoreUnavailable | None = None
        self._task: asyncio.Task[None] | None = None
        self._pause_s = FIRST_S

    async def ended(self, job_id: str, *, within_ms: int) -> None:
        """Return once a job has ended or has no record, at most after `within_ms`.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        self._awaited[job_id] += 1
        self._pause_s = FIRST_S
        try:
            if self._task is None or self._task.done():
                self._failed = None
                self._task = asyncio.create_task(self._poll())
            async with asyncio.timeout(within_ms / 1_000), self._ended:
                await self._ended.wait_for(lambda: job_id in self._done or self._failed)
        except TimeoutError:
            return
        finally:
            self._awaited[job_id] -= 1
            if not self._awaited[job_id]:
                del self._awaited[job_id]
                self._done.discard(job_id)
        if self._failed is not None and job_id not in self._done:
            raise StoreUnavailable(str(self._failed)) from self._failed

    async def _poll(self) -> None:
        while self._awaited:
            waiting = [job_id for job_id in self._awaited if job_id not in self._done]
            try:
                jobs = await run_in_threadpool(self._listing.many, waiting)
            except StoreUnavailable as error:
                async with self._ended:
                    self._failed = error
                    self._ended.notify_all()
                return
            found = zip(waiting, jobs, strict=True)
            ended = {key for key, job in found if job is None or job.state is not State.PENDING}
            if ended:
                async with self._ended:
                    self._done |= ended & set(self._awaited)
                    self._ended.notify_all()
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(LONGEST_S, self._pause_s * 1.5)
