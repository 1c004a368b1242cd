"""What the scripts of switches answer, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from worker.store.limiter import Grant

NO_GRANT = Grant(0)


@dataclass(frozen=True, slots=True)
class Clearing:
    """Why a scope cannot be armed yet.

    Attributes:
        pair: Where a former switch may still cancel what is placed now.
        wait_ms: How long that is expected to last.
        job_id: Its cancel-all, which has not had its first complete list; empty if
            only a request without a reply, or the exchange's timer, is waited for.
        detail: What its last attempt came to.
    """

    pair: str
    wait_ms: int
    job_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Armed:
    """What `arm` came to: the switch, or the one it would overlap.

    Without a `switch_id` nothing was changed: the message was stale, or the scope is
    still `clearing`. A switch that is `waiting` is armed once its pairs are clear.

    Attributes:
        native: Whether the exchange holds a timer for it.
        held_why: Why it does not, where it has timers; see `budget.lua`.
        ended: The state that it had come to before all of very many orders were
            tracked; empty if they are.
    """

    switch_id: str
    epoch: int = 0
    deadline_ms: int = 0
    overlaps: str = ""
    clearing: Clearing | None = None
    waiting: bool = False
    native: bool = False
    held_why: str = ""
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Beaten:
    """What a beat came to; see `beat.lua`."""

    state: str
    left_ms: int
    in_time: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class NativeSwitch:
    """A switch whose timer the exchange holds, as planning needs it.

    Attributes:
        due: The exchange's timer is not where it should be.
    """

    id: str
    epoch: int
    state: str
    timeout_ms: int
    deadline_ms: int
    fires_ms: int
    due: bool
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """Leave to send one countdown request now, or why not.

    Attributes:
        verdict: `go`, `wait` (for `wait_ms`), `stale` (plan anew), `lost` (the
            lane is no longer held).
        now_ms: Redis time of the leave.
        deadline_ms: The earliest deadline of its armed switches; 0 for none.
    """

    verdict: str
    wait_ms: int = 0
    now_ms: int = 0
    deadline_ms: int = 0
    grant: Grant = NO_GRANT


@dataclass(frozen=True, slots=True)
class Rest:
    """How a lane is given up; see `rest.lua`.

    Attributes:
        pause_ms: When to look at the lane again.
        quiet: Whether nothing may be sent until then, whoever looks at it.
        failed: Switches to be put off, each longer with each failure.
        first_ms: By how long at first.
        longest_ms: By how long at most.
    """

    pause_ms: int = 0
    quiet: bool = False
    failed: tuple[str, ...] = ()
    first_ms: int = 0
    longest_ms: int = 0
