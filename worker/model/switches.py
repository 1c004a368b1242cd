"""Countdown switches: records, and the answers of the scripts that move them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.model.limits import Grant
from worker.model.names import exchange_of


@dataclass(frozen=True, slots=True)
class SwitchRecord:
    """One switch as it stands. Times are Unix ms on Redis's clock.

    Attributes:
        state: `armed`, `tripped` or `disarmed`; `waiting` to be armed once its pairs are
            clear.
        fires_ms: When the exchange's own timer fires at the earliest; 0 if no
            timer is known to run, None if the exchange holds none.
        synced_ms: When that was last confirmed.
    """

    id: str
    account: str
    lane: str
    pairs: tuple[str, ...]
    order_ids: tuple[str, ...]
    timeout_ms: int
    deadline_ms: int
    epoch: int
    state: str
    beat_ms: int
    fires_ms: int | None
    synced_ms: int | None
    tripped_ms: int | None
    native: bool = False
    held_why: str = ""

    @property
    def held(self) -> str:
        """Who holds the deadline: `exchange` or `workers`."""
        return "exchange" if self.native else "workers"

    @property
    def live(self) -> bool:
        """Whether its deadline counts."""
        return self.state in ("armed", "waiting")

    def describe(self, now_ms: int) -> dict[str, Any]:
        """Return the switch as JSON shows it."""
        return {
            "id": self.id,
            "account": self.account,
            "exchange": exchange_of(self.lane),
            "pairs": list(self.pairs),
            "order_ids": list(self.order_ids),
            "state": self.state,
            "epoch": self.epoch,
            "timeout_ms": self.timeout_ms,
            "deadline_ms": self.deadline_ms,
            "left_ms": max(0, self.deadline_ms - now_ms) if self.live else None,
            "beat_ms": self.beat_ms,
            "exchange_fires_ms": self.fires_ms,
            "synced_ms": self.synced_ms,
            "tripped_ms": self.tripped_ms,
            "held": self.held,
            "held_why": why_held(self.held_why, native=self.native),
        }


def why_held(why: str, *, native: bool) -> str:
    """Say in words why the exchange, or why workers, hold a deadline."""
    kind, _, figure = why.partition(" ")
    match kind:
        case "short":
            return f"the exchange's timer cannot be kept below a timeout of {figure} ms"
        case "slow":
            return f"the exchange answers slowly: its timer needs a timeout of {figure} ms"
        case "limit":
            return "other switches take up the exchange's limit on countdown requests"
        case _:
            return "the exchange's own timer" if native else "the exchange has no timer"


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
        held_why: Why it does not, where it has timers; see `lib/budget.lua`.
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
class Timers:
    """Where the exchange's timer is known to be.

    Attributes:
        fires_ms: When it fires at the earliest, in Redis time; 0 if it is stopped.
        way_ms: What was taken off the countdown for the request's way.
        members: The switches that it is for, each with the epoch of the request.
    """

    fires_ms: int
    way_ms: int
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one countdown request, once its fate is known.

    Attributes:
        grant: Its rate slots.
        arrived: Whether the exchange replied; false if no byte of the request left.
        timers: Where the timer is; None if that is unknown.
    """

    grant: Grant = NO_GRANT
    arrived: bool = True
    timers: Timers | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """How a lane is given up; see `report.lua`.

    Attributes:
        pause_ms: When the lane is due again.
        quiet: Whether no worker may send until then.
        failed: Switches to be deferred, each for longer with each failure.
        first_ms: For how long at first.
        longest_ms: For how long at most.
    """

    pause_ms: int = 0
    quiet: bool = False
    failed: tuple[str, ...] = ()
    first_ms: int = 0
    longest_ms: int = 0


AT_ONCE = Release()
"""The lane is due again as soon as one of its switches is."""
