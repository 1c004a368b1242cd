"""A job: one accepted wish to have orders off the book, and how it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from worker.outcomes import Outcome


class Kind(StrEnum):
    """What a job takes down."""

    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    MALFORMED = "malformed"
    """A message that no job could be made of."""


class Phase(StrEnum):
    """What the next attempt of a job sends."""

    SEND = "send"
    ASK = "ask"
    LIST = "list"


class State(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the ledger holds it. Times are Unix ms on Redis's clock.

    Attributes:
        lane: `<exchange>:<account>`.
        phase: What the next attempt sends; None before the first.
        streak: Attempts in a row that ended in `outcome`.
        missing: The exchange last said that it knows no such open order.
        missing_ms: Since when it has said so, not once showing the order open.
        attempts: Requests made or under way.
        claim: Grows with each lease; a settlement made under an older one is
            dropped unless it brings a proof.
        lost: The worker of the last attempt was lost in the middle of it.
        urgent: Of a switch that has tripped; its first leases are short.
        outcome: Of the last attempt; of the job once it has ended.
    """

    id: str
    kind: Kind
    state: State
    lane: str = ""
    order_id: str | None = None
    pair: str | None = None
    side: str | None = None
    parent: str | None = None
    phase: Phase | None = None
    streak: int = 0
    missing: bool = False
    missing_ms: int | None = None
    attempts: int = 0
    claim: int = 0
    created_ms: int = 0
    first_ms: int | None = None
    due_ms: int | None = None
    finished_ms: int | None = None
    claimed_by: str | None = None
    outcome: Outcome | None = None
    detail: str = ""
    lost: bool = False
    urgent: bool = False
    lease_ms: int = 0
    raw: str = ""
    history: tuple[dict[str, Any], ...] = ()

    @property
    def exchange(self) -> str:
        """Name of the exchange."""
        return self.lane.partition(":")[0]

    @property
    def account(self) -> str:
        """Alias of the account."""
        return self.lane.partition(":")[2]

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Make a job of a ledger record's fields.

        Raises:
            ValueError: They are no job's, or those of a later version.
        """
        try:
            return cls._read(fields)
        except (KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a job's record: {error!r}") from None

    @classmethod
    def _read(cls, fields: Mapping[str, str]) -> Self:
        return cls(
            id=fields["id"],
            kind=Kind(fields["kind"]),
            state=State(fields["state"]),
            lane=fields.get("lane", ""),
            order_id=fields.get("order_id"),
            pair=fields.get("pair"),
            side=fields.get("side"),
            parent=fields.get("parent"),
            phase=Phase(fields["phase"]) if fields.get("phase") else None,
            streak=int(fields.get("streak", 0)),
            missing=fields.get("missing") == "1",
            missing_ms=_maybe(fields.get("missing_ms")),
            attempts=int(fields.get("attempts", 0)),
            claim=int(fields.get("claim", 0)),
            created_ms=int(fields.get("created_ms", 0)),
            first_ms=_maybe(fields.get("first_ms")),
            due_ms=_maybe(fields.get("due_ms")),
            finished_ms=_maybe(fields.get("finished_ms")),
            claimed_by=fields.get("claimed_by"),
            outcome=Outcome(fields["outcome"]) if fields.get("outcome") else None,
            detail=fields.get("detail", ""),
            lost="lost" in fields,
            urgent="urgent" in fields,
            lease_ms=int(fields.get("lease_ms", 0)),
            raw=fields.get("raw", ""),
            history=tuple(json.loads(line) for line in fields.get("history", "").splitlines()),
        )

    def describe(self) -> dict[str, Any]:
        """Return the job as JSON shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "exchange": self.exchange or None,
            "account": self.account or None,
            "order_id": self.order_id,
            "pair": self.pair,
            "side": self.side,
            "parent": self.parent,
            "outcome": self.outcome,
            "detail": self.detail,
            "attempts": self.attempts,
            "created_ms": self.created_ms,
            "due_ms": self.due_ms if self.state is State.PENDING else None,
            "finished_ms": self.finished_ms,
            "claimed_by": self.claimed_by,
            "history": list(self.history),
            **({"raw": self.raw} if self.raw else {}),
        }


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted."""

    id: str
    lane: str
    kind: Kind
    order_id: str = ""
    pair: str = ""
    side: str = ""
    parent: str = ""
    urgent: bool = False


def _maybe(text: str | None) -> int | None:
    return None if text is None else int(text)
