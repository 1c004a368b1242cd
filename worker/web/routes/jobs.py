"""`GET /v1/jobs`: one with a long poll, and a search."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from worker.errors import InvalidCommand
from worker.model.authority import Verb
from worker.model.jobs import Job, State
from worker.model.outcomes import Outcome
from worker.store.job_steps import reading_job
from worker.web.answers import JobAnswer, JobPage, job_answer
from worker.web.authority import Caller, Needs
from worker.web.parts import parts_of
from worker.web.problems import documented, not_found

router = APIRouter(tags=["jobs"], responses=documented(400, 401, 403, 404, 429, 503))
Reader = Annotated[Caller, Depends(Needs(Verb.READ))]
JobId = Annotated[str, Path(min_length=1, max_length=128)]
WAIT_MAX_MS = 60_000
SCANNED = 2_000
"""Records that one request reads at most, whatever it finds."""
CHUNK = 250
ORDER = (State.PENDING, State.DEAD, State.DONE)


@router.get("/v1/jobs/{job_id}", response_model=JobAnswer, operation_id="job")
async def job(
    caller: Reader,
    job_id: JobId,
    wait_ms: Annotated[int, Query(ge=0, le=WAIT_MAX_MS)] = 0,
) -> JSONResponse:
    """Return a job; with `wait_ms`, once it has ended or the time is up."""
    parts = parts_of(caller.request)
    found = _seen(caller, await parts.redis.carry(reading_job(job_id)), job_id)
    if wait_ms and found.state is State.PENDING:
        with parts.held.one(caller.token.digest):
            await parts.watcher.ended(job_id, timeout_ms=wait_ms)
        found = _seen(caller, await parts.redis.carry(reading_job(job_id)), job_id)
    return JSONResponse(job_answer(found))


def _seen(caller: Caller, found: Job | None, job_id: str) -> Job:
    if found is None:
        raise not_found("unknown-job", f"no job has the id {job_id[:60]!r}, or its record expired")
    caller.require(found.account)
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Conditions that a job must meet; None is no condition.

    Attributes:
        order_id: The exchange's id, or the strategy's own.
        switch: The switch, scope or dead letter that it follows from.
    """

    account: str | None = None
    exchange: str | None = None
    order_id: str | None = None
    switch: str | None = None
    outcome: Outcome | None = None
    newer_than: int | None = None

    def matches(self, found: Job) -> bool:
        """Return whether a job meets all conditions."""
        return (
            self.account in (None, found.account)
            and self.exchange in (None, found.exchange)
            and self.order_id in (None, found.order_id, found.client_order_id)
            and self.switch in (None, found.parent)
            and self.outcome in (None, found.outcome)
            and (self.newer_than is None or found.created_ms > self.newer_than)
        )


@router.get("/v1/jobs", response_model=JobPage, operation_id="jobs")
def jobs(
    *,
    caller: Reader,
    account: Annotated[str | None, Query(max_length=64)] = None,
    exchange: Annotated[str | None, Query(max_length=64)] = None,
    order_id: Annotated[str | None, Query(max_length=256)] = None,
    switch: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    outcome: Outcome | None = None,
    newer_than: Annotated[
        int | None, Query(ge=0, description="Accepted after this time, Unix ms.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> JSONResponse:
    """Return jobs: pending ones due first, then dead ones and ended ones, latest first."""
    if account is not None:
        caller.require(account)
    wanted = Wanted(account, exchange, order_id, switch, outcome, newer_than)
    return _page(caller, wanted, state, limit, cursor)


def _page(
    caller: Caller, wanted: Wanted, state: State | None, limit: int, cursor: str | None
) -> JSONResponse:
    listing = parts_of(caller.request).listing
    states = [each for each in ORDER if state in (None, each)]
    at, skip = _read_cursor(cursor) if cursor else (0, 0)
    found: list[Job] = []
    for _ in range(SCANNED // CHUNK):
        if at >= len(states) or len(found) == limit:
            break
        ids = listing.ids(states[at], limit=CHUNK, skip=skip)
        for each in listing.many(ids):
            skip += 1
            if each and each.state is states[at] and wanted.matches(each):
                found += [each] * caller.token.covers(each.account)
            if len(found) == limit:
                break
        else:
            if len(ids) < CHUNK:
                at, skip = at + 1, 0
    return JSONResponse(
        {
            "now_ms": listing.now_ms(),
            "jobs": [job_answer(each) for each in found],
            "cursor": _cursor(at, skip) if at < len(states) else None,
        }
    )


def _cursor(at: int, skip: int) -> str:
    return base64.urlsafe_b64encode(f"{at}.{skip}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, int]:
    try:
        at, skip = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(".")
        place = int(at), int(skip)
    except (ValueError, binascii.Error):
        place = -1, 0
    if not (0 <= place[0] <= len(ORDER) and 0 <= place[1] < 10**9):
        raise InvalidCommand("cursor: give one that a page had")
    return place
