"""What Celery messages say: pure reading of the tasks' arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.errors import InvalidCommand, LaterFormat

CANCEL = "worker.cancel"
COUNTDOWN = "worker.countdown"
DRAIN = "worker.drain"
"""Wakes a worker for one exchange; names no job."""

TICK = "worker.tick"
"""Celery beat's: reconcile the switches now."""

SENT_MIN_MS = 10**12
"""No message is older: what is less was given in seconds."""

PAIRS_MAX = 1_000
"""Pairs of one countdown message: a hundred thousand would hold Redis up for a second."""

FORMAT = 2
"""The newest form of a message that this version reads. One says so as `v`; without, any
field is accepted. 2 has `client_order_id`."""
CLIENT_ID_FORMAT = 2
"""What a doorbell with `client_order_id` says: older workers leave it to newer ones."""
WHOLE_MAX = 2**53
"""From here on senders that keep numbers as doubles would name another order."""
_CANCEL_FIELDS = ("account", "order_id", "pair", "side", "job", "client_order_id")
_COUNTDOWN_FIELDS = ("account", "pairs", "timeout_ms", "sent_ms", "everything")


@dataclass(frozen=True, slots=True)
class CancelMessage:
    """The arguments of `worker.cancel`.

    Attributes:
        order_id: The exchange's id of the order; empty if it is named by `client_order_id`.
        client_order_id: The id that its strategy gave the order.
        job: The job's id, in doorbells of this program's producers. In a message of
            another client it means nothing.
    """

    account: str
    order_id: str = ""
    pair: str | None = None
    side: str | None = None
    job: str | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class CountdownMessage:
    """The arguments of `worker.countdown`.

    Attributes:
        timeout_ms: 0 disarms.
        sent_ms: When it was sent, Unix ms, if the sender states it: the deadline
            is reckoned from there, however late the message comes.
        everything: It is for all orders of the account, and `pairs` is empty.
    """

    account: str
    pairs: tuple[str, ...]
    timeout_ms: int
    sent_ms: int | None = None
    everything: bool = False


def read_countdown(args: Sequence[object], kwargs: Mapping[str, object]) -> CountdownMessage:
    """Read the arguments of `worker.countdown`.

    Raises:
        LaterFormat: It says that it is of a later format.
        InvalidCommand: One of them is missing, unknown or of another kind.
    """
    values = _named(COUNTDOWN, _COUNTDOWN_FIELDS, args, kwargs)
    account, pairs = values.get("account"), values.get("pairs")
    timeout_ms, sent_ms = values.get("timeout_ms"), values.get("sent_ms")
    if not isinstance(account, str) or not account:
        raise InvalidCommand(f"{COUNTDOWN}: account is missing, or no text")
    everything = values.get("everything", False)
    if not isinstance(everything, bool):
        raise InvalidCommand(f"{COUNTDOWN}: everything must be true or false")
    if isinstance(pairs, str):
        pairs = pairs.split(",")
    if everything:
        if pairs:
            raise InvalidCommand(f"{COUNTDOWN}: give pairs or everything, not both")
        pairs = []
    elif not isinstance(pairs, list) or not pairs or not all(isinstance(p, str) for p in pairs):
        raise InvalidCommand(f"{COUNTDOWN}: pairs must be a list of text, and not empty")
    if len(pairs) > PAIRS_MAX:
        raise InvalidCommand(f"{COUNTDOWN}: {len(pairs)} pairs; at most {PAIRS_MAX} in a message")
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int) or timeout_ms < 0:
        raise InvalidCommand(f"{COUNTDOWN}: timeout_ms must be a whole number, 0 to disarm")
    if sent_ms is not None and (type(sent_ms) is not int or sent_ms < SENT_MIN_MS):
        raise InvalidCommand(f"{COUNTDOWN}: sent_ms must be Unix ms as a whole number, not seconds")
    return CountdownMessage(account, tuple(pairs), timeout_ms, sent_ms, everything)


def read_cancel(args: Sequence[object], kwargs: Mapping[str, object]) -> CancelMessage:
    """Read the arguments of `worker.cancel`.

    Raises:
        LaterFormat: It says that it is of a later format.
        InvalidCommand: One of them is missing, unknown or not text.
    """
    values = _named(CANCEL, _CANCEL_FIELDS, args, kwargs)
    if type(order_id := values.get("order_id")) is int and order_id > 0:
        if order_id >= WHOLE_MAX:
            raise InvalidCommand(f"{CANCEL}: order_id is a number of 2^53 or more; give it as text")
        values["order_id"] = str(order_id)
    if not values.get("account"):
        raise InvalidCommand(f"{CANCEL}: account is missing")
    if not values.get("order_id") and not values.get("client_order_id"):
        raise InvalidCommand(f"{CANCEL}: order_id is missing, or client_order_id")
    if values.get("order_id") and values.get("client_order_id"):
        raise InvalidCommand(f"{CANCEL}: give order_id or client_order_id, not both")
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise InvalidCommand(f"{CANCEL}: {name} must be text, not {type(value).__name__}")
    return CancelMessage(**{name: value for name, value in values.items() if value})  # type: ignore[arg-type]


def is_later(kwargs: object) -> bool:
    """Return whether the arguments of a task say that they are of a later format."""
    version = kwargs.get("v") if isinstance(kwargs, Mapping) else None
    return isinstance(version, int) and not isinstance(version, bool) and version > FORMAT


def _named(
    task: str, fields: Sequence[str], args: Sequence[object], kwargs: Mapping[str, object]
) -> dict[str, object]:
    if is_later(kwargs):
        raise LaterFormat(f"{task}: format {kwargs['v']}; this version reads {FORMAT}")
    known = range(1, FORMAT + 1)
    kwargs = {
        name: value
        for name, value in kwargs.items()
        if name != "v" or not isinstance(value, int) or value not in known
    }
    if len(args) > len(fields):
        raise InvalidCommand(f"{task}: {len(args)} arguments; it takes {', '.join(fields)}")
    values = dict(zip(fields, args, strict=False))
    for name, value in kwargs.items():
        if name not in fields:
            raise InvalidCommand(
                f"{task}: unknown argument {str(name)[:60]!r}; it takes {', '.join(fields)}"
            )
        if name in values:
            raise InvalidCommand(f"{task}: {name} is given twice")
        values[name] = value
    return values
