"""`arm`, `beat` and `disarm`: a countdown switch from the shell."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, parts
from worker.cli.errors import MISUSED, CliError
from worker.cli.options import AccountArgument, EpochOption, JsonOption, SwitchArgument
from worker.errors import StoreUnavailable

if TYPE_CHECKING:
    from worker.client.switch import Beat

SAFE_SHARE = 2
"""Who beats at least every half timeout is never tripped."""
EVERY_MIN_S, EVERY_MAX_S = 0.05, 86_400
LATE = (
    "not in time: no worker has brought the exchange in line; normal just after arming, "
    "else see `cancel-worker status`"
)


def _every(value: float | None) -> float | None:
    if value is not None and not EVERY_MIN_S <= value <= EVERY_MAX_S:
        raise typer.BadParameter(f"give seconds from {EVERY_MIN_S} to {EVERY_MAX_S}, such as 5")
    return value


def arm(
    *,
    account: AccountArgument,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--pair", metavar="PAIR", help="All open orders of this pair; repeatable."),
    ] = None,
    order_ids: Annotated[
        list[str] | None, typer.Option("--order", metavar="ID", help="This order; repeatable.")
    ] = None,
    timeout_ms: Annotated[
        int,
        typer.Option(
            "--timeout-ms", metavar="N", help="From each beat to the deadline.", show_default=False
        ),
    ],
    clear_wait_ms: Annotated[
        int,
        typer.Option(
            "--clear-wait-ms",
            metavar="N",
            min=0,
            help="Wait so long for a former switch of these pairs that tripped, until the "
            "exchange has listed their open orders.",
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Arm a switch: its orders come off if no beat comes in time.

    The same scope armed before is taken over from its former holder.
    """
    switch = parts.open_producer().arm(
        account,
        pairs=pairs or [],
        order_ids=order_ids or [],
        timeout_ms=timeout_ms,
        clear_wait_ms=clear_wait_ms,
    )
    beat_ms = timeout_ms // SAFE_SHARE
    if as_json:
        output.document(
            {
                "id": switch.id,
                "account": account,
                "epoch": switch.epoch,
                "timeout_ms": timeout_ms,
                "deadline_ms": switch.deadline_ms,
                "held": switch.held,
                "held_why": switch.held_why,
                "beat_at_least_every_ms": beat_ms,
            }
        )
    else:
        again = " (armed before: a former holder's beats now fail)" if switch.epoch > 1 else ""
        rows = [
            ("switch", switch.id),
            ("epoch", f"{switch.epoch}{again}"),
            ("deadline", f"{output.moment(switch.deadline_ms)}, {output.duration(timeout_ms)}"),
            ("now", f"someone must beat it at least every {output.duration(beat_ms)}, such as"),
            ("", f"cancel-worker beat {switch.id} --every {beat_ms / 2_000:.3g}"),
            ("held", f"by {_holder(switch.held)}: {switch.held_why}"),
        ]
        for line in output.columns(rows):
            output.say(line)
    _note_without_workers()


def _holder(held: str) -> str:
    return "the exchange" if held == "exchange" else held


def beat(
    *,
    switch_id: SwitchArgument,
    epoch: EpochOption = None,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="SECONDS",
            help="Keep beating until Ctrl-C, or until the switch has ended.",
            callback=_every,
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Move a switch's deadline to one timeout from now."""
    if every is not None and as_json:
        raise CliError("--every prints as it goes, so it takes no --json", code=MISUSED)
    producer = parts.open_producer()
    switch = producer.switch(switch_id, epoch=epoch or 0)
    if every is not None:
        from worker.cli.beating import keep_beating  # noqa: PLC0415  only here

        keep_beating(producer, switch, every_ms=every * 1_000)
        return
    beaten = switch.beat()
    if as_json:
        told = {"left_ms": beaten.left_ms, "in_time": beaten.in_time}
        output.document({"id": switch.id, "account": switch.account} | told)
    else:
        output.say(told_of(beaten))


def disarm(
    switch_id: SwitchArgument, epoch: EpochOption = None, as_json: JsonOption = False
) -> None:
    """End a switch; its orders stay. Doing it twice is no error."""
    switch = parts.open_producer().switch(switch_id, epoch=epoch or 0)
    switch.disarm()
    record = switch.record()
    now_ms = parts.open_ledger().now_ms()
    fires_ms = record.fires_ms if record else None
    runs = fires_ms is not None and fires_ms > now_ms
    if as_json:
        known = record.describe(now_ms) if record else {"id": switch.id}
        output.document(known)
    else:
        output.say(f"{switch.id} disarmed; its orders stay")
        if runs:
            output.say(
                "a worker now stops the exchange's own timer; `cancel-worker switches` tells"
            )
    if runs:
        _note_without_workers()


def told_of(beaten: Beat) -> str:
    """Return what a beat came to, for people."""
    left = output.duration(beaten.left_ms)
    return f"{left} left, {'in time' if beaten.in_time else LATE}"


def _note_without_workers() -> None:
    """Say on standard error if nobody would act on what was just done."""
    from worker.cli.snapshot import living  # noqa: PLC0415  slow

    with contextlib.suppress(StoreUnavailable):  # what was asked is done
        if not living(parts.open_ledger()):
            output.note("no worker lives to act on it; start one, such as by `cancel-worker up`")
