"""Countdown switches: records, and the answers of the scripts that move them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.model.holders import who_holds, why_held
from worker.model.jobs import TAKE
from worker.model.limits import Grant
from worker.model.names import exchange_of
from worker.model.switch_scopes import order_names, scope_items, shown_items


class SwitchState(StrEnum):
    """State of a switch."""

    ARMED = "armed"
    WAITING = "waiting"
    """To be armed once its pairs are clear."""
    TRIPPED = "tripped"
    DISARMED = "disarmed"
    UNKNOWN = "unknown"
    """One that this version does not know: a newer one's."""

    @classmethod
    def _missing_(cls, value: object) -> SwitchState:  # noqa: ARG003  as in `Enum`
        return cls.UNKNOWN


class SwitchReply(StrEnum):
    """What a script answers to the holder of a switch; all but `ARMED` refuse the call."""

    ARMED = "armed"
    TRIPPED = "tripped"
    DISARMED = "disarmed"
    REPLACED = "replaced"
    """A later epoch has taken its scope over, or it was disarmed under a later one."""
    OVERLAP = "overlap"
    """Another switch tracks one of these orders."""
    UNKNOWN = "unknown"
    """There is no such switch, or its state is a newer version's."""

    @classmethod
    def _missing_(cls, value: object) -> SwitchReply:  # noqa: ARG003  as in `Enum`
        return cls.UNKNOWN


class PairsReply(StrEnum):
    """What a script answers to who disarms by pairs; see `disarm_pairs.lua`."""

    DISARMED = "disarmed"
    NONE = "none"
    """No switch has these pairs."""
    TRIPPED = "tripped"
    STALE = "stale"
    """The message is older than what it would change."""
    OVERLAP = "overlap"
    """A switch has these pairs and others, or a part of them."""


class LaunchVerdict(StrEnum):
    """Whether a countdown request may be sent now."""

    GO = "go"
    WAIT = "wait"
    """No rate slot is free."""
    STALE = "stale"
    """A switch is not as planned: plan again."""
    LOST = "lost"
    """The caller no longer holds the lane."""


@dataclass(frozen=True, slots=True)
class SwitchRecord:
    """State of one switch. Times are Unix ms on Redis's clock.

    Attributes:
        client_order_ids: Orders that it covers by the ids that their strategy gave them.
        client_id_prefix: Of its pairs, or of all if it names none, it covers only orders whose
            client order ids begin with this; empty for no such bound.
        stops: `keep` if its stop orders stay; empty if they are canceled too.
        fires_ms: When the exchange's own timer fires at the earliest; 0 if no
            timer is known to run, None if the exchange holds none.
        synced_ms: When that was last confirmed.
        changed_ms: When the exchange's timer was last found to be other than set; None if it
            never was.
        name: Given by its strategy; empty for none.
        replaced_by: Id of the switch that holds a part of its scope, or its name, now.
    """

    id: str
    account: str
    lane: str
    pairs: tuple[str, ...]
    order_ids: tuple[str, ...]
    timeout_ms: int
    deadline_ms: int
    epoch: int
    state: SwitchState
    beat_ms: int
    fires_ms: int | None
    synced_ms: int | None
    tripped_ms: int | None
    native: bool = False
    held_why: str = ""
    name: str = ""
    replaced_by: str = ""
    client_order_ids: tuple[str, ...] = ()
    client_id_prefix: str = ""
    stops: str = ""
    everything: bool = False
    changed_ms: int | None = None

    @property
    def held(self) -> str:
        """Who holds the deadline: `exchange`, `workers` or `both`."""
        return who_holds(self.held_why, native=self.native, orders=bool(self.orders))

    @property
    def orders(self) -> list[str]:
        """The orders that it covers by their ids; see `worker.model.switch_scopes`."""
        return order_names(self.order_ids, self.client_order_ids)

    @property
    def scope(self) -> tuple[str, ...]:
        """What it covers, for people: pairs and orders, or `everything`."""
        items = map(shown_items, scope_items(self.pairs, self.client_id_prefix))
        return ("everything",) if self.everything else (*items, *self.orders)

    @property
    def live(self) -> bool:
        """Whether its deadline counts."""
        match self.state:
            case SwitchState.ARMED | SwitchState.WAITING:
                return True
            case SwitchState.TRIPPED | SwitchState.DISARMED | SwitchState.UNKNOWN:
                return False

    def describe(self, now_ms: int) -> dict[str, Any]:
        """Return the switch as JSON shows it."""
        return {
            "id": self.id,
            "name": self.name or None,
            "account": self.account,
            "exchange": exchange_of(self.lane),
            "everything": self.everything,
            "pairs": list(self.pairs),
            "order_ids": list(self.order_ids),
            "client_order_ids": list(self.client_order_ids),
            "client_id_prefix": self.client_id_prefix or None,
            "stops": self.stops or TAKE,
            "state": self.state,
            "epoch": self.epoch,
            "timeout_ms": self.timeout_ms,
            "deadline_ms": self.deadline_ms,
            "left_ms": max(0, self.deadline_ms - now_ms) if self.live else None,
            "beat_ms": self.beat_ms,
            "exchange_fires_ms": self.fires_ms,
            "synced_ms": self.synced_ms,
            "timer_changed_ms": self.changed_ms,
            "tripped_ms": self.tripped_ms,
            "held": self.held,
            "held_why": why_held(self.held_why, native=self.native, orders=bool(self.orders)),
        }


NO_GRANT = Grant(0)


@dataclass(frozen=True, slots=True)
class Clearing:
    """Why a scope cannot be armed yet.

    Attributes:
        pair: Where a former switch may still cancel what is placed now.
        wait_ms: How long that is expected to last.
        job_id: Its cancel-all, which has not had its first complete list; empty if
            only a request without a reply, or the exchange's timer, is waited for.
        detail: Result of its last attempt.
    """

    pair: str
    wait_ms: int
    job_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Armed:
    """Result of `arm`: the switch, or the one it would overlap.

    Without a `switch_id` nothing was changed: the message was stale, or the scope is
    still `clearing`. A switch that is `waiting` is armed once its pairs are clear.

    Attributes:
        overlaps: What the other switch covers.
        named: Whether it has the name that was asked for, for another scope.
        native: Whether the exchange holds a timer for it.
        held_why: Why it does not, where it has timers; see `lib/budget.lua`.
        reply: Result of the calls that track very many orders.
    """

    switch_id: str
    epoch: int = 0
    deadline_ms: int = 0
    overlaps: str = ""
    named: bool = False
    clearing: Clearing | None = None
    waiting: bool = False
    native: bool = False
    held_why: str = ""
    reply: SwitchReply = SwitchReply.ARMED


@dataclass(frozen=True, slots=True)
class Beaten:
    """Result of a heartbeat; see `beat.lua`."""

    state: SwitchReply
    left_ms: int
    in_time: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class NativeSwitch:
    """A switch whose timer the exchange holds, as planning needs it.

    Attributes:
        yielded: Workers hold its deadline, and the exchange's timer is not stopped yet.
        due: The exchange's timer is not where it should be.
        outlives: A timer that the exchange may hold fires after the deadline.
        unsure: Where its timer is, is not known.
    """

    id: str
    epoch: int
    state: SwitchState
    timeout_ms: int
    deadline_ms: int
    fires_ms: int
    due: bool
    pairs: tuple[str, ...]
    yielded: bool = False
    outlives: bool = False
    unsure: bool = False

    @property
    def timed(self) -> bool:
        """Whether the exchange is to run a timer for it."""
        return self.state is SwitchState.ARMED and not self.yielded

    @property
    def stopped(self) -> bool:
        """Whether the exchange is to run no timer for it, and may do so still."""
        match self.state:
            case SwitchState.DISARMED:
                return True
            case SwitchState.ARMED:
                return self.yielded
            case SwitchState.WAITING | SwitchState.TRIPPED | SwitchState.UNKNOWN:
                return False


@dataclass(frozen=True, slots=True)
class Launch:
    """Leave to send one countdown request now, or why not.

    Attributes:
        wait_ms: Until a rate slot may be free.
        now_ms: Redis time of the leave.
        deadline_ms: The earliest deadline of its armed switches; 0 for none.
    """

    verdict: LaunchVerdict
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
        dropped: Those whose timer the same request has ended, likewise.
        pairs: What the request named, where one overwrites all; else empty.
    """

    fires_ms: int
    way_ms: int
    members: tuple[tuple[str, int], ...]
    dropped: tuple[tuple[str, int], ...] = ()
    pairs: tuple[str, ...] = ()


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
