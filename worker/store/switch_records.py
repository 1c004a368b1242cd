"""A switch as its record in Redis shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from worker.names import exchange_of


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


def read_record(fields: dict[str, str], order_ids: Iterable[str]) -> SwitchRecord:
    """Return the switch of these fields of its record, and these orders."""

    def maybe(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    return SwitchRecord(
        id=fields["id"],
        account=fields["account"],
        lane=fields["lane"],
        pairs=tuple(pair for pair in fields["pairs"].split(",") if pair),
        order_ids=tuple(sorted(order_ids)),
        timeout_ms=int(fields["timeout_ms"]),
        deadline_ms=int(fields["deadline_ms"]),
        epoch=int(fields["epoch"]),
        state=fields["state"],
        beat_ms=int(fields["beat_ms"]),
        fires_ms=(maybe("fires_ms") or 0) if fields["native"] == "1" else None,
        synced_ms=maybe("synced_ms"),
        tripped_ms=maybe("tripped_ms"),
        native=fields["native"] == "1",
        held_why=fields.get("held_why", ""),
    )
