"""A job: one accepted wish to have orders off the book, and its state."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self, TypeVar

from worker.model.constants import JOB_FORMAT
from worker.model.names import account_of, exchange_of
from worker.model.outcomes import Outcome

E = TypeVar("E", bound=StrEnum)


class Kind(StrEnum):
    """What a job takes down."""

    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    MALFORMED = "malformed"
    """A message that no job could be made of."""
    UNKNOWN = "unknown"
    """One that this version does not know: a newer one's."""


KEEP = "keep"
TAKE = "take"
"""What a cancel of a whole scope does with stop orders."""


class Phase(StrEnum):
    """What the next attempt of a job sends."""

    SEND = "send"
    BUY = "buy"
    """Cancels one side of a scope of both, where the exchange takes sides alone."""
    SELL = "sell"
    ASK = "ask"
    PAST = "past"
    """Asks where the exchange keeps closed orders; `ASK` has not found the order."""
    STOPS = "stops"
    """Lists stop orders that the exchange lists apart; `LIST` follows."""
    LIST = "list"
    STOPS_LEFT = "stops_left"
    """Lists them until there are none, once `LIST` has shown no other order."""

    @property
    def cancels(self) -> bool:
        """Whether it cancels, rather than asks."""
        return self in (Phase.SEND, Phase.BUY, Phase.SELL)

    @property
    def asks(self) -> bool:
        """Whether it asks about one order."""
        return self in (Phase.ASK, Phase.PAST)

    @property
    def lists(self) -> bool:
        """Whether it lists a scope's orders."""
        return self in (Phase.STOPS, Phase.LIST, Phase.STOPS_LEFT)

    @property
    def empties(self) -> bool:
        """Whether it lists a scope until that is empty."""
        return self in (Phase.LIST, Phase.STOPS_LEFT)


class State(StrEnum):
    """State of a job."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the ledger holds it. Times are Unix ms on Redis's clock.

    Attributes:
        lane: `<exchange>:<account>`.
        order_id: The exchange's id of the order; None if it is named by `client_order_id`.
        client_order_id: The id that its strategy gave the order; never with `order_id`.
        stop: A list has shown its order as a stop order.
        stop_kind: The exchange's word for its kind of stop order, once it has been shown.
        stops: Of a scope: `keep` if its stop orders stay; else they are canceled too.
        client_id_prefix: Of a scope: only orders whose client order id begins with it.
        phase: What the next attempt sends; None before the first.
        streak: Attempts in a row that ended in `outcome`.
        missing: The exchange last replied that it knows no such open order.
        missing_ms: Since when it has done so, not once showing the order open.
        listed: Of a scope: a complete list was had, and each order in it has a job of its own.
        empty: Of a scope: the last complete list showed no open order.
        empty_ms: When one first did.
        attempts: Requests made or under way.
        claim: Grows with each lease; a settlement made under an older one is
            dropped unless it brings a proof.
        lost: The worker of the last attempt was lost in the middle of it.
        urgent: It goes before others, and its first leases are short.
        tripped: A switch that has tripped asked for it.
        refused: What of the account the exchange refuses (`cancels`, `reads`, `token`);
            this attempt is the probe that the account's other jobs wait for.
        refused_ms: Since when.
        swept: Of a scope: a cancel of all of it was sent, of which it is not known what it
            canceled.
        children: Of a scope: orders that were found open in it, and those that one request is
            known to have canceled with all of it. One that is still listed after that counts twice.
        canceled: How many of those were canceled.
        closed: How many were found closed, as filled.
        unproven: How many became dead letters.
        unseen: No list of the account has shown the scope's pair yet.
        nonce: The id of its account's key and a nonce for the first request after its claim,
            where requests go one at a time; see `store.nonces`.
        doubtful: Its attempts prove nothing: others of its account go first, mostly.
        version: Form of the record; above `JOB_FORMAT` it is a newer version's.
        outcome: Of the last attempt; of the job once it has ended.
    """

    id: str
    kind: Kind
    state: State
    lane: str = ""
    order_id: str | None = None
    client_order_id: str | None = None
    pair: str | None = None
    side: str | None = None
    parent: str | None = None
    client_id_prefix: str | None = None
    stop: bool = False
    stop_kind: str = ""
    stops: str = ""
    phase: Phase | None = None
    streak: int = 0
    missing: bool = False
    missing_ms: int | None = None
    listed: bool = False
    empty: bool = False
    empty_ms: int | None = None
    attempts: int = 0
    claim: int = 0
    created_ms: int = 0
    first_ms: int | None = None
    due_ms: int | None = None
    finished_ms: int | None = None
    hold_until_ms: int | None = None
    claimed_by: str | None = None
    outcome: Outcome | None = None
    detail: str = ""
    lost: bool = False
    urgent: bool = False
    tripped: bool = False
    doubtful: bool = False
    refused: str = ""
    refused_ms: int | None = None
    swept: bool = False
    children: int = 0
    canceled: int = 0
    closed: int = 0
    unproven: int = 0
    unseen: bool = False
    nonce: str = ""
    lease_ms: int = 0
    raw: str = ""
    history: tuple[dict[str, Any], ...] = ()
    version: int = JOB_FORMAT

    @property
    def foreign(self) -> bool:
        """Whether this version must leave the job to a newer one."""
        return self.version > JOB_FORMAT or self.kind is Kind.UNKNOWN

    @property
    def sends(self) -> Phase:
        """What an attempt of it sends, unless its exchange asks for something else first."""
        return self.phase or Phase.SEND

    @property
    def order(self) -> str:
        """Name of its order for people; empty if it has none."""
        if self.client_order_id:
            return f"client id {self.client_order_id}"
        if self.stop:
            return f"stop order {self.order_id}"
        return self.order_id or ""

    @property
    def exchange(self) -> str:
        """Name of the exchange."""
        return exchange_of(self.lane)

    @property
    def account(self) -> str:
        """Alias of the account."""
        return account_of(self.lane)

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Make a job of a ledger record's fields, of any version.

        What a newer version wrote and this one does not know is left out, so
        that it can be shown; it must not be attempted (`foreign`). A phase that
        is not known may have been anything: as after a lost worker, the
        exchange is asked first.
        """
        values = {name: read(text) for name, text in fields.items() if (read := _READ.get(name))}
        values.setdefault("id", "")
        values["kind"] = kind = _member(Kind, fields.get("kind")) or Kind.UNKNOWN
        values["state"] = values.get("state") or State.PENDING
        values["lost"] = "lost" in fields or (bool(fields.get("phase")) and values["phase"] is None)
        values["urgent"] = "urgent" in fields
        # An older version's jobs are urgent for this reason alone.
        values["tripped"] = "urgent" in fields and fields.get("tripped", "1") == "1"
        if kind is Kind.CANCEL_ALL:
            values |= _seen(values)
        values["doubtful"] = "doubtful" in fields
        values["history"] = (*_only_attempt(fields), *values.get("history", ()))
        values["unseen"] = "unseen" in fields
        values["swept"] = "swept" in fields
        values["stop"] = "stop" in fields
        values["hold_until_ms"] = _number(fields.get("hold_until"))
        values["version"] = version = _number(fields.get("v")) or JOB_FORMAT
        if version > JOB_FORMAT or kind is Kind.UNKNOWN:
            named = f"of a newer version (v {version}, kind {fields.get('kind', '')[:40]!r})"
            values["detail"] = fields.get("detail") or f"{named}: left to its workers"
        return cls(**values)

    def _of_scope(self) -> dict[str, Any]:
        bounds = {"client_id_prefix": self.client_id_prefix, "stops": self.stops or TAKE}
        return {**bounds, **self.counts(), "swept": self.swept}

    def counts(self) -> dict[str, int]:
        """Return how the orders of a scope have ended."""
        return {"canceled": self.canceled, "closed": self.closed, "unproven": self.unproven}

    def describe(self) -> dict[str, Any]:
        """Return the job as JSON shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "exchange": self.exchange or None,
            "account": self.account or None,
            "order_id": self.order_id,
            "client_order_id": self.client_order_id,
            "pair": self.pair,
            "side": self.side,
            "parent": self.parent,
            "outcome": self.outcome,
            "detail": self.detail,
            "attempts": self.attempts,
            **(self._of_scope() if self.kind is Kind.CANCEL_ALL else {}),
            "created_ms": self.created_ms,
            "due_ms": self.due_ms if self.state is State.PENDING else None,
            "finished_ms": self.finished_ms,
            **({"hold_until_ms": self.hold_until_ms} if self.hold_until_ms else {}),
            "claimed_by": self.claimed_by,
            "history": list(self.history),
            **({"raw": self.raw} if self.raw else {}),
            **({"version": self.version} if self.foreign else {}),
        }


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted. Its order has an `order_id` or a `client_order_id`.

    Attributes:
        hold_ms: How long a scope is kept empty, from when the job is accepted.
    """

    id: str
    lane: str
    kind: Kind
    order_id: str = ""
    pair: str = ""
    side: str = ""
    parent: str = ""
    urgent: bool = False
    client_order_id: str = ""
    client_id_prefix: str = ""
    stop: bool = False
    stops: str = ""
    hold_ms: int = 0


def _seen(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what lists have shown of a scope, from the fields that record it.

    Once it has been listed its `streak` is recorded as a negative number, or 0; that it is
    empty, and since when, as `missing`. Workers of all versions read it there.
    """
    streak, lists = values.get("streak", 0), values.get("phase") in (Phase.LIST, Phase.STOPS_LEFT)
    return {
        "streak": abs(streak),
        "listed": lists and streak <= 0,
        "missing": False,
        "empty": lists and values.get("missing", False),
        "missing_ms": None,
        "empty_ms": values.get("missing_ms"),
    }


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _member(kind: type[E], text: str | None) -> E | None:
    try:
        return kind(text) if text else None
    except ValueError:
        return None


def _only_attempt(fields: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Return the history of a job that is done, as its short record has it; see `settle.lua`."""
    made = fields.get("made")
    if made is None:  # it is not done
        return
    at_ms, took_ms, phase = (*made.split(" "), "", "")[:3]
    if at_ms:
        yield {
            "n": 1,
            "at_ms": _count(at_ms),
            "phase": phase,
            "outcome": fields.get("outcome", ""),
            "detail": fields.get("detail", ""),
            "took_ms": _count(took_ms),
            "by": fields.get("by", ""),
        }


def _lines(history: str) -> Iterator[dict[str, Any]]:
    for line in history.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


_READ: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(
        (
            "id",
            "lane",
            "order_id",
            "client_order_id",
            "client_id_prefix",
            "stop_kind",
            "stops",
            "pair",
            "side",
            "parent",
            "claimed_by",
            "detail",
            "raw",
            "refused",
            "nonce",
        ),
        str,
    ),
    **dict.fromkeys(
        (
            "streak",
            "attempts",
            "claim",
            "created_ms",
            "lease_ms",
            "children",
            "canceled",
            "closed",
            "unproven",
        ),
        _count,
    ),
    **dict.fromkeys(("missing_ms", "first_ms", "due_ms", "finished_ms", "refused_ms"), _number),
    "state": lambda text: _member(State, text),
    "phase": lambda text: _member(Phase, text),
    "missing": "1".__eq__,
    "outcome": lambda text: _member(Outcome, text) or (Outcome.UNKNOWN if text else None),
    "history": lambda text: tuple(_lines(text)),
}
"""How each field of a record is read that is not read together with another."""
