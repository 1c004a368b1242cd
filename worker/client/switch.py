"""A countdown switch in a strategy's hand."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from worker.errors import (
    InvalidCommand,
    SwitchDisarmed,
    SwitchError,
    SwitchOverlap,
    SwitchReplaced,
    SwitchTripped,
    SwitchUnknown,
)
from worker.exchanges.base import Exchange
from worker.model.messages import DRAIN
from worker.model.switches import SwitchRecord
from worker.policy.phases import check_cancel
from worker.store.doorbell import LATER, URGENT, ring
from worker.store.switches import Switches

BELL = "BELL"
"""Stands in a doorbell for an id that the script gives it."""
ENDED: dict[str, tuple[type[SwitchError], str]] = {
    "tripped": (
        SwitchTripped,
        "has tripped: too late, its orders are being canceled",
    ),
    "replaced": (SwitchReplaced, "was armed again elsewhere; this holder's word no longer counts"),
    "disarmed": (SwitchDisarmed, "was disarmed"),
    "unknown": (SwitchUnknown, "is not known, or has been forgotten"),
}


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat came to.

    Attributes:
        left_ms: Until the deadline, if no further beat comes.
        in_time: Whether the switch would work now: the exchange's own timer was
            brought in line in time, or, where it has none, a worker lives to
            hold the deadline. False for some beats after arming is normal; if
            it stays false, workers are away.
    """

    left_ms: int
    in_time: bool


class Switch:
    """An armed deadline for a scope's orders.

    As a context manager a clean exit disarms; an exception or a crash does not,
    so that the orders come off at the deadline.

    Attributes:
        epoch: Rises with each arming; 0 acts whoever holds the switch.
        held: Who held the deadline when this was made: `exchange`, by a timer of its own
            that needs no worker to fire, or `workers`.
        held_why: Why.
        deadline_ms: As it stood when this was made, Unix ms on Redis's clock;
            beats have moved it since.
    """

    def __init__(
        self,
        switches: Switches,
        exchange: Exchange,
        *,
        switch_id: str,
        account: str,
        epoch: int,
        deadline_ms: int = 0,
        held: str = "",
        held_why: str = "",
    ) -> None:
        self._switches = switches
        self._exchange = exchange
        self.id = switch_id
        self.account = account
        self.epoch = epoch
        self.deadline_ms = deadline_ms
        self.held = held
        self.held_why = held_why
        self._renewal = renewal_bell(exchange.name)

    def __repr__(self) -> str:
        """Name the switch."""
        return f"Switch(id={self.id!r}, account={self.account!r}, epoch={self.epoch})"

    def beat(self) -> Beat:
        """Move the deadline to one timeout from now. One Redis call.

        Beat at least every half timeout; then the switch never trips.

        Raises:
            SwitchTripped: Too late: the orders are being canceled.
            SwitchReplaced: The same scope was armed again, elsewhere.
            SwitchDisarmed: It was disarmed.
            SwitchUnknown: It has been forgotten, or Redis lost its data.
            StoreUnavailable: Redis did not answer. The deadline may stand as
                it was; beat again.
        """
        beaten = self._switches.beat(self.id, self.epoch, self._renewal)
        self.hold(self._told_apart(beaten.state))
        return Beat(beaten.left_ms, beaten.in_time)

    def track(self, *order_ids: str) -> None:
        """Add orders to the scope.

        Raises:
            InvalidCommand: An order could not be canceled by its id alone.
            SwitchOverlap: Another armed switch tracks one of them.
            SwitchError: As for `beat`.
            StoreUnavailable: Redis did not answer. They may be tracked.
        """
        for order_id in order_ids:
            check_cancel(self._exchange, order_id=order_id, pair=None, side=None)
        self._change(order_ids, add=True)

    def untrack(self, *order_ids: str) -> None:
        """Take orders out of the scope.

        Raises:
            SwitchError: As for `beat`.
            StoreUnavailable: Redis did not answer. They may be untracked.
        """
        self._change(order_ids, add=False)

    def disarm(self) -> None:
        """End the switch; its orders stay. Disarming twice is no error.

        Where the exchange holds a timer, workers stop it; until then it runs.

        Raises:
            SwitchTripped: Too late: the orders are being canceled.
            SwitchReplaced: The same scope was armed again, elsewhere.
            SwitchUnknown: It has been forgotten, or Redis lost its data.
            StoreUnavailable: Redis did not answer. It may be disarmed; ask again.
        """
        state = self._switches.disarm(self.id, self.epoch, urgent_bell(self._exchange.name))
        if self._told_apart(state) != "disarmed":
            self.hold(state)

    def record(self) -> SwitchRecord | None:
        """Return how the switch stands.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return self._switches.get(self.id)

    def __enter__(self) -> Self:
        """Return the armed switch."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm after a clean exit alone."""
        if kind is None:
            self.disarm()

    def _change(self, order_ids: tuple[str, ...], *, add: bool) -> None:
        if not order_ids:
            raise InvalidCommand("no order ids; give at least one")
        state, other = self._switches.track(self.id, self.epoch, order_ids, add=add)
        if state == "overlap":
            raise SwitchOverlap(f"switch {other} tracks one of these orders; untrack it there")
        self.hold(self._told_apart(state))

    def _told_apart(self, state: str) -> str:
        """Tell a disarm of this arming from a later arming: both raise the epoch."""
        if state == "replaced":
            record = self._switches.get(self.id)
            if record and record.state == "disarmed" and record.epoch == self.epoch + 1:
                return "disarmed"
        return state

    def hold(self, state: str) -> None:
        """Raise what a state that a script answered with means for the holder."""
        if state in ENDED:
            kind, text = ENDED[state]
            raise kind(f"switch {self.id} {text}")


def urgent_bell(exchange: str) -> tuple[str, str]:
    """Return a doorbell ahead of renewals."""
    return ring(DRAIN, {"exchange": exchange}, queue=exchange, priority=URGENT)


def renewal_bell(exchange: str) -> tuple[str, str]:
    """Return a doorbell that a script may ring many times."""
    return ring(DRAIN, {"exchange": exchange}, queue=exchange, priority=LATER, task_id=BELL)
