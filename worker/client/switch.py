"""A dead man's switch, as a strategy uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from worker.client.orders import OrderResult, reading_orders
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
from worker.model.switch_scopes import order_names
from worker.model.switches import SwitchRecord, SwitchReply, SwitchState
from worker.policy.phases import check_tracked
from worker.store.doorbell import LATER, URGENT, ring
from worker.store.steps import Steps
from worker.store.switch_steps import beating, disarming, reading_switch, tracking
from worker.store.switches import Switches

BELL = "BELL"
"""Placeholder in a doorbell for the id that the script inserts."""
ENDED: dict[SwitchReply, tuple[type[SwitchError], str]] = {
    SwitchReply.TRIPPED: (
        SwitchTripped,
        "has tripped: its deadline has passed, and its orders are being canceled",
    ),
    SwitchReply.REPLACED: (
        SwitchReplaced,
        "was armed again elsewhere; this holder no longer controls it",
    ),
    SwitchReply.DISARMED: (SwitchDisarmed, "was disarmed"),
    SwitchReply.UNKNOWN: (SwitchUnknown, "does not exist, or its record has expired"),
}
"""By the reply of a script: the error to raise, and its text."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Result of a heartbeat.

    Attributes:
        left_ms: Time until the deadline if no further heartbeat follows.
        in_time: Whether the switch would fire in time now: the exchange's own timer
            is up to date, or, without such a timer, a worker is alive. False is
            normal for a few heartbeats after arming; if it stays false, no worker
            is running.
    """

    left_ms: int
    in_time: bool


class HeldSwitch:
    """What a strategy knows of a switch, and how it is asked; carried by `Switch`."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        switch_id: str,
        account: str,
        epoch: int,
        deadline_ms: int = 0,
        held: str = "",
        held_why: str = "",
        name: str = "",
        timeout_ms: int = 0,
        pairs: tuple[str, ...] = (),
    ) -> None:
        self._exchange = exchange
        self.id = switch_id
        self.account = account
        self.epoch = epoch
        self.deadline_ms = deadline_ms
        self.held = held
        self.held_why = held_why
        self.name = name
        self.timeout_ms = timeout_ms
        self._pairs = pairs
        self._renewal = renewal_bell(exchange.name)

    def __repr__(self) -> str:
        """Return id, name, account and epoch."""
        named = f", name={self.name!r}" if self.name else ""
        kind = type(self).__name__
        return f"{kind}(id={self.id!r}{named}, account={self.account!r}, epoch={self.epoch})"

    def _beating(self, *, since_ms: float | None = None) -> Steps[Beat]:
        beaten = yield from beating(self.id, self.epoch, self._renewal, since_ms=since_ms)
        self.raise_if_ended((yield from self._distinguish_disarm(beaten.state)))
        return Beat(beaten.left_ms, beaten.in_time)

    def _tracking(
        self,
        *order_ids: str,
        client_order_id: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> Steps[None]:
        by_client = _by_client(client_order_id, client_order_ids)
        pair = check_tracked(self._exchange, self._pairs, order_ids, by_client)
        yield from self._change(order_names(order_ids, by_client), add=True, order_pair=pair)

    def _untracking(
        self,
        *order_ids: str,
        client_order_id: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> Steps[None]:
        by_client = _by_client(client_order_id, client_order_ids)
        yield from self._change(order_names(order_ids, by_client), add=False)

    def _disarming(self) -> Steps[None]:
        reply = yield from disarming(self.id, self.epoch, urgent_bell(self._exchange.name))
        if (yield from self._distinguish_disarm(reply)) is not SwitchReply.DISARMED:
            self.raise_if_ended(reply)

    def _change(self, names: list[str], *, add: bool, order_pair: str = "") -> Steps[None]:
        if not names:
            raise InvalidCommand("no order ids; give at least one")
        reply, other = yield from tracking(
            self.id, self.epoch, names, add=add, order_pair=order_pair
        )
        if reply is SwitchReply.OVERLAP:
            raise SwitchOverlap(f"switch {other} tracks one of these orders; untrack it there")
        self.raise_if_ended((yield from self._distinguish_disarm(reply)))

    def _distinguish_disarm(self, reply: SwitchReply) -> Steps[SwitchReply]:
        """Return `DISARMED` if this arming was disarmed; a later arming is `REPLACED`.

        Both raise the epoch, so the script reports both as `replaced`.
        """
        if reply is SwitchReply.REPLACED:
            record = yield from reading_switch(self.id)
            ended = record is not None and record.state is SwitchState.DISARMED
            if record and ended and not record.replaced_by and record.epoch == self.epoch + 1:
                return SwitchReply.DISARMED
        return reply

    def raise_if_ended(self, reply: SwitchReply) -> None:
        """Raise the error for a reply to a holder that no longer controls the switch."""
        if reply in ENDED:
            kind, text = ENDED[reply]
            raise kind(f"switch {self.id} {text}")


class Switch(HeldSwitch):
    """An armed switch: a deadline for the orders of a scope.

    As a context manager it disarms on a clean exit only. After an exception or a
    crash it stays armed, so the orders are canceled at the deadline.

    Attributes:
        name: Given to `arm`; empty for none.
        timeout_ms: From each heartbeat to the deadline; 0 if not known here.
        epoch: Rises with each arming. With 0, calls are accepted from any holder.
        held: What enforced the deadline when this object was made: `exchange`, by a
            native timer that fires without a worker, `workers`, or `both`, where workers
            cancel at the deadline what the timer does not reach.
        held_why: The reason for `held`.
        deadline_ms: The deadline when this object was made, in Unix ms on Redis's
            clock. Later heartbeats do not update it.
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
        name: str = "",
        timeout_ms: int = 0,
        pairs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            exchange,
            switch_id=switch_id,
            account=account,
            epoch=epoch,
            deadline_ms=deadline_ms,
            held=held,
            held_why=held_why,
            name=name,
            timeout_ms=timeout_ms,
            pairs=pairs,
        )
        self._switches = switches

    def beat(self, *, since_ms: float | None = None) -> Beat:
        """Send a heartbeat: set the deadline to one timeout from now. One Redis call.

        Send one at least every half timeout; then the switch never trips.

        Args:
            since_ms: Count from this moment of the local clock (`worker.clock`,
                `monotonic_ms`) instead, such as the strategy's last progress. The
                deadline is never moved back.

        Raises:
            SwitchTripped: The deadline has passed; the orders are being canceled.
            SwitchReplaced: The same scope was armed again, elsewhere.
            SwitchDisarmed: The switch was disarmed.
            SwitchUnknown: The record has expired, or Redis lost its data.
            StoreUnavailable: Redis did not answer. The deadline may be
                unchanged; retry.
        """
        return self._switches.carry(self._beating(since_ms=since_ms))

    def track(
        self,
        *order_ids: str,
        client_order_id: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> None:
        """Add orders to the scope, by the exchange's ids or the client's.

        Where the exchange needs the pair of an order, that is the switch's only pair.

        Raises:
            InvalidCommand: The exchange cannot cancel an order by its id only.
            SwitchOverlap: Another armed switch tracks one of these orders.
            SwitchError: As for `beat`.
            StoreUnavailable: Redis did not answer. The orders may be tracked.
        """
        self._switches.carry(
            self._tracking(
                *order_ids, client_order_id=client_order_id, client_order_ids=client_order_ids
            )
        )

    def untrack(
        self,
        *order_ids: str,
        client_order_id: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> None:
        """Remove orders from the scope.

        Raises:
            SwitchError: As for `beat`.
            StoreUnavailable: Redis did not answer. The orders may be untracked.
        """
        self._switches.carry(
            self._untracking(
                *order_ids, client_order_id=client_order_id, client_order_ids=client_order_ids
            )
        )

    def disarm(self) -> None:
        """End the switch; its orders stay open. Disarming twice is not an error.

        If the exchange runs a native timer, workers stop it afterwards.

        Raises:
            SwitchTripped: The deadline has passed; the orders are being canceled.
            SwitchReplaced: The same scope was armed again, elsewhere.
            SwitchUnknown: The record has expired, or Redis lost its data.
            StoreUnavailable: Redis did not answer. The switch may be disarmed; retry.
        """
        self._switches.carry(self._disarming())

    def record(self) -> SwitchRecord | None:
        """Return the current record, or None if it has expired.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return self._switches.get(self.id)

    def orders(self) -> list[OrderResult]:
        """Return what a trip did, order by order; empty if the switch has not tripped.

        What the exchange's own timer canceled is named only if the switch tracks it.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return self._switches.carry(reading_orders(self.id))

    def __enter__(self) -> Self:
        """Return the armed switch."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm after a clean exit only."""
        if kind is None:
            self.disarm()


def _by_client(client_order_id: str | None, client_order_ids: Sequence[str]) -> tuple[str, ...]:
    if isinstance(client_order_ids, str):
        raise InvalidCommand("client_order_ids must be a list; for one use client_order_id")
    one = () if client_order_id is None else (client_order_id,)
    return (*one, *client_order_ids)


def urgent_bell(exchange: str) -> tuple[str, str]:
    """Return a doorbell with a higher priority than renewals."""
    return ring(DRAIN, {"exchange": exchange}, queue=exchange, priority=URGENT)


def renewal_bell(exchange: str) -> tuple[str, str]:
    """Return a doorbell that a script may ring repeatedly."""
    return ring(DRAIN, {"exchange": exchange}, queue=exchange, priority=LATER, task_id=BELL)
