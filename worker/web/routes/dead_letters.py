"""`/v1/dead-letters`: list, replay, discard."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import JSONResponse

from worker.model.authority import Verb
from worker.model.jobs import Job, State
from worker.store.job_steps import reading_job, retiring
from worker.web.answers import Accepted, JobPage, accepted, job_answer
from worker.web.authority import Caller, Needs
from worker.web.once import once
from worker.web.parts import parts_of
from worker.web.problems import documented, not_found

router = APIRouter(tags=["dead letters"], responses=documented(400, 401, 403, 404, 429, 503))
Reader = Annotated[Caller, Depends(Needs(Verb.READ))]
Operator = Annotated[Caller, Depends(Needs(Verb.OPERATE))]
JobId = Annotated[str, Path(min_length=1, max_length=128)]
ACCEPTED, NO_CONTENT = 202, 204
SKIP_MAX = 10_000_000


@router.get("/v1/dead-letters", response_model=JobPage, operation_id="dead_letters")
def dead_letters(
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int, Query(ge=0, le=SKIP_MAX)] = 0,
) -> JSONResponse:
    """Return the jobs that were given up, latest first.

    A message that belongs to no account is shown to tokens for every account.
    """
    listing = parts_of(caller.request).listing
    letters = listing.dead(limit=limit, skip=cursor)
    shown = [job_answer(each) for each in letters if caller.token.covers(each.account)]
    more = str(cursor + limit) if len(letters) == limit else None
    return JSONResponse({"now_ms": listing.now_ms(), "jobs": shown, "cursor": more})


@router.post(
    "/v1/dead-letters/{job_id}/replay",
    status_code=ACCEPTED,
    response_model=Accepted,
    operation_id="replay",
)
async def replay(caller: Operator, job_id: JobId) -> JSONResponse:
    """Enqueue the command of a dead letter again, as a new job."""
    caller.note("replay", job_id)
    parts = parts_of(caller.request)

    async def run() -> Any:  # noqa: ANN401  JSON
        letter = await _letter(caller, job_id)
        caller.note("replay", job_id, letter.account)
        return accepted(await parts.redis.carry(parts.verbs.replay(job_id)))

    return await once(caller, None, run, status=ACCEPTED)


@router.delete("/v1/dead-letters/{job_id}", status_code=NO_CONTENT, operation_id="discard")
async def discard(caller: Operator, job_id: JobId) -> Response:
    """Delete a dead letter. Its order may still be open."""
    caller.note("discard", job_id)
    letter = await _letter(caller, job_id)
    caller.note("discard", job_id, letter.account)
    await parts_of(caller.request).redis.carry(retiring(job_id, keep_ms=0))
    return Response(status_code=NO_CONTENT)


async def _letter(caller: Caller, job_id: str) -> Job:
    letter = await parts_of(caller.request).redis.carry(reading_job(job_id))
    if letter is None:
        raise not_found("unknown-job", f"no dead letter has this id: {job_id[:60]!r}")
    caller.require(letter.account)
    if letter.state is not State.DEAD:
        raise not_found("unknown-job", "no dead letter has this id")
    return letter
