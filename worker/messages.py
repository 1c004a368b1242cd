"""What Celery messages say: pure reading of the tasks' arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.errors import InvalidCommand

CANCEL = "worker.cancel"
COUNTDOWN = "worker.countdown"
DRAIN = "worker.drain"
"""Wakes a worker for one exchange; names no job."""

_CANCEL_FIELDS = ("account", "order_id", "pair", "side", "job")


@dataclass(frozen=True, slots=True)
class CancelMessage:
    """The arguments of `worker.cancel`; `job` is set by this program's producers."""

    account: str
    order_id: str
    pair: str | None = None
    side: str | None = None
    job: str | None = None


def read_cancel(args: Sequence[object], kwargs: Mapping[str, object]) -> CancelMessage:
    """Read the arguments of `worker.cancel`.

    Raises:
        InvalidCommand: One of them is missing, unknown or not text.
    """
    values = _named(_CANCEL_FIELDS, args, kwargs)
    for name in ("account", "order_id"):
        if not values.get(name):
            raise InvalidCommand(f"{CANCEL}: {name} is missing")
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise InvalidCommand(f"{CANCEL}: {name} must be text, not {type(value).__name__}")
    return CancelMessage(**{name: value for name, value in values.items() if value})  # type: ignore[arg-type]


def _named(
    fields: Sequence[str], args: Sequence[object], kwargs: Mapping[str, object]
) -> dict[str, object]:
    if len(args) > len(fields):
        raise InvalidCommand(f"{CANCEL}: {len(args)} arguments; it takes {', '.join(fields)}")
    values = dict(zip(fields, args, strict=False))
    for name, value in kwargs.items():
        if name not in fields:
            raise InvalidCommand(
                f"{CANCEL}: unknown argument {str(name)[:60]!r}; it takes {', '.join(fields)}"
            )
        if name in values:
            raise InvalidCommand(f"{CANCEL}: {name} is given twice")
        values[name] = value
    return values
