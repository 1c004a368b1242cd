"""Bodies of replies, as OpenAPI documents them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from worker.client.async_ticket import AsyncTicket
from worker.model.jobs import Job, State
from worker.model.outcomes import Outcome


class Accepted(BaseModel):
    """An accepted cancel.

    Attributes:
        fresh: False if the same cancel was pending already.
    """

    id: str
    account: str
    order_id: str | None
    client_order_id: str | None
    state: State
    fresh: bool


class Jobs(BaseModel):
    """Accepted cancels of scopes."""

    jobs: list[Accepted]


class Panicked(Jobs):
    """Accepted cancels of everything, one of each account.

    Attributes:
        refused: By account, why its orders cannot be canceled all at once; cancel them
            by pair.
    """

    refused: dict[str, str]


class JobAnswer(BaseModel):
    """A job, with all its attempts. Times are Unix ms.

    Attributes:
        outcome: Of the last attempt; of the job once it has ended.
        parent: The switch, scope or dead letter that it follows from.
        swept: Of a scope: a cancel of all of it was sent, and no reply says what it canceled.
    """

    id: str
    kind: str
    state: State
    exchange: str | None
    account: str | None
    order_id: str | None
    client_order_id: str | None
    pair: str | None
    side: str | None
    parent: str | None
    outcome: Outcome | None
    detail: str
    attempts: int
    client_id_prefix: str | None = None
    stops: Literal["take", "keep"] | None = None
    canceled: int | None = None
    closed: int | None = None
    unproven: int | None = None
    swept: bool | None = None
    created_ms: int
    due_ms: int | None
    finished_ms: int | None
    hold_until_ms: int | None = None
    claimed_by: str | None
    history: list[dict[str, Any]]
    raw: str | None = None
    version: int | None = None


class JobPage(BaseModel):
    """Jobs, and where to continue.

    Attributes:
        cursor: Give it with the same query for more; None at the end. A page may
            hold few jobs, or none, although there are more.
    """

    now_ms: int
    jobs: list[JobAnswer]
    cursor: str | None


class Armed(BaseModel):
    """An armed switch.

    Attributes:
        epoch: Give it with each call to act as this holder alone.
        held: `exchange`, by a native timer, `workers`, or `both`.
        beat_url: Secret path for heartbeats without a token; shown this once.
    """

    id: str
    epoch: int
    deadline_ms: int
    held: Literal["exchange", "workers", "both"]
    held_why: str
    beat_url: str


class Beaten(BaseModel):
    """A heartbeat that counts; see `Beat` of the Python client."""

    left_ms: int
    in_time: bool


class Tracked(BaseModel):
    """How many orders were added or removed."""

    tracked: int


class SwitchAnswer(BaseModel):
    """A switch. Times are Unix ms."""

    id: str
    name: str | None
    account: str
    exchange: str
    pairs: list[str]
    order_ids: list[str]
    client_order_ids: list[str]
    client_id_prefix: str | None
    stops: Literal["take", "keep"]
    everything: bool
    state: str
    epoch: int
    timeout_ms: int
    deadline_ms: int
    left_ms: int | None
    beat_ms: int
    exchange_fires_ms: int | None
    synced_ms: int | None
    timer_changed_ms: int | None
    tripped_ms: int | None
    held: str
    held_why: str


class SwitchList(BaseModel):
    """The live switches, nearest deadline first, then those that have ended."""

    now_ms: int
    switches: list[SwitchAnswer]


class LaneAnswer(BaseModel):
    """The jobs and switches of one account.

    Attributes:
        refused: What of its API key the exchange refuses.
        paused_until_ms: Nothing is sent before, as the exchange asked.
    """

    exchange: str
    account: str
    pending: int
    due: int
    oldest_due_age_ms: int
    armed: int
    tripped: int
    refused: str | None = None
    paused_until_ms: int | None = None


class LimitAnswer(BaseModel):
    """A rate limit that workers keep, and how many requests its window holds now.

    Attributes:
        owner: The account, or the address, that the exchange counts.
    """

    exchange: str
    limit: str
    owner: str
    max_requests: int
    window_ms: int
    used: int


class BanAnswer(BaseModel):
    """An exchange that refuses every request of an account or address for a time."""

    exchange: str
    owner: str
    until_ms: int


class WorkerAnswer(BaseModel):
    """A worker that is alive."""

    name: str
    seen_ms_ago: int


class TripAnswer(BaseModel):
    """A tripped switch that is not acknowledged; of its orders, the first ones.

    Attributes:
        orders: How many order ids it covered.
    """

    id: str
    name: str | None
    account: str
    exchange: str
    pairs: list[str]
    order_ids: list[str]
    orders: int
    client_order_ids: list[str] = []
    client_id_prefix: str | None = None
    everything: bool
    deadline_ms: int
    tripped_ms: int


class RedisAnswer(BaseModel):
    """Redis's configuration, as far as this process may read it."""

    version: str
    appendonly: bool
    noeviction: bool
    aof_write_ok: bool
    memory_ratio: float | None


class Status(BaseModel):
    """The whole state.

    Attributes:
        problems: One sentence for each; empty without any.
        tick_ago_ms: Since a worker last ran a tick of Celery beat.
    """

    now_ms: int
    problems: list[str]
    workers: list[WorkerAnswer]
    trips: list[TripAnswer]
    dead: int
    tick_ago_ms: int | None
    redis: RedisAnswer | None
    lanes: list[LaneAnswer]
    limits: list[LimitAnswer] = []
    bans: list[BanAnswer] = []


class AuditRow(BaseModel):
    """One call that changed something; `status` is that of its reply."""

    at_ms: int
    who: str
    source: str
    via: str
    action: str
    target: str
    account: str
    status: int


class AuditPage(BaseModel):
    """The audit log, latest first."""

    entries: list[AuditRow] = Field(max_length=500)


def accepted(ticket: AsyncTicket) -> dict[str, Any]:
    """Return an accepted cancel as JSON."""
    return {
        "id": ticket.id,
        "account": ticket.account,
        "order_id": ticket.order_id,
        "client_order_id": ticket.client_order_id,
        "state": State.PENDING,
        "fresh": ticket.fresh,
    }


def job_answer(job: Job) -> dict[str, Any]:
    """Return a job as JSON."""
    return job.describe()
