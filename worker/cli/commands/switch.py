"""`arm`, `beat` and `disarm`: a countdown switch from the shell."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli import output, resources
from worker.cli.attending import note_without_workers
from worker.cli.beating import SAFE_SHARE, beat_text, keep_beating
from worker.cli.errors import MISUSED, CliError
from worker.cli.listings import find_switch
from worker.cli.options import (
    AccountArgument,
    EpochOption,
    JsonOption,
    KeepStopsOption,
    PrefixOption,
    SwitchArgument,
    milliseconds,
    span_ms,
    with_unit,
)
from worker.model.jobs import KEEP, TAKE

EVERY_MIN_MS, EVERY_MAX_MS = 50, 86_400_000


def _every(text: str | int) -> int:
    return span_ms(text, unit="s", least_ms=EVERY_MIN_MS, most_ms=EVERY_MAX_MS)


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
    client_order_ids: Annotated[
        list[str] | None,
        typer.Option(
            "--client-order-id",
            metavar="ID",
            help="The order that your strategy gave this id; repeatable.",
        ),
    ] = None,
    client_id_prefix: PrefixOption = None,
    keep_stops: KeepStopsOption = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="All orders of the account; no other switch of it can be armed beside this one.",
        ),
    ] = False,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            help="Time from each heartbeat to the deadline, such as 30s or 2m.",
            parser=with_unit,
            show_default=False,
        ),
    ] = None,
    timeout_ms: Annotated[
        int | None,
        typer.Option(
            "--timeout-ms",
            metavar="N",
            help="The same in milliseconds.",
            parser=milliseconds,
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Shown wherever the switch is; unique among the account's armed switches.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="If the switch of this name covers another scope, take its place."
        ),
    ] = False,
    clear_wait_ms: Annotated[
        int,
        typer.Option(
            "--clear-wait-ms",
            metavar="TIME",
            parser=milliseconds,
            help="Wait at most this long while a tripped switch of these pairs is still "
            "canceling, until the exchange has listed their open orders.",
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Arm a switch: without heartbeats its orders are canceled.

    Arming the same scope again takes the switch over from its holder.
    """
    if (timeout is None) == (timeout_ms is None):
        raise typer.BadParameter("give --timeout TIME, such as --timeout 30s, or --timeout-ms N")
    within_ms = timeout or timeout_ms or 0
    switch = resources.open_producer().arm(
        account,
        pairs=pairs or [],
        order_ids=order_ids or [],
        client_order_ids=client_order_ids or [],
        client_id_prefix=client_id_prefix,
        stops=KEEP if keep_stops else TAKE,
        everything=everything,
        timeout_ms=within_ms,
        name=name,
        replace=replace,
        clear_wait_ms=clear_wait_ms,
    )
    beat_ms = within_ms // SAFE_SHARE
    if as_json:
        output.document(
            {
                "id": switch.id,
                "name": switch.name or None,
                "account": account,
                "epoch": switch.epoch,
                "timeout_ms": within_ms,
                "deadline_ms": switch.deadline_ms,
                "held": switch.held,
                "held_why": switch.held_why,
                "beat_at_least_every_ms": beat_ms,
            }
        )
    else:
        again = (
            " (armed before: heartbeats of the former holder now fail)" if switch.epoch > 1 else ""
        )
        rows = [
            ("switch", f"{switch.id} ({switch.name})" if switch.name else switch.id),
            ("epoch", f"{switch.epoch}{again}"),
            ("deadline", f"{output.moment(switch.deadline_ms)}, {output.duration(within_ms)}"),
            ("now", f"send a heartbeat at least every {output.duration(beat_ms)}, for example"),
            ("", f"cancel-worker beat {switch.id} --every {beat_ms / 2_000:.3g}"),
            ("held", f"by {_holder(switch.held)}: {switch.held_why}"),
        ]
        output.facts(rows)
    note_without_workers()


def _holder(held: str) -> str:
    return {"exchange": "the exchange", "both": "the exchange and workers"}.get(held, held)


def beat(
    *,
    switch_id: SwitchArgument,
    epoch: EpochOption = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            metavar="TIME",
            help="Send heartbeats so often, such as 5 (seconds) or 500ms, until Ctrl-C, or until "
            "the switch has ended.",
            parser=_every,
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send a heartbeat: the deadline moves to one timeout from now."""
    if every is not None and as_json:
        raise CliError(
            "--every prints lines as heartbeats are sent; it takes no --json", code=MISUSED
        )
    producer = resources.open_producer()
    switch = producer.switch(find_switch(resources.open_switches(), switch_id), epoch=epoch or 0)
    if every is not None:
        keep_beating(producer, switch, every_ms=every)
        return
    sent = switch.beat()
    if as_json:
        result = {"left_ms": sent.left_ms, "in_time": sent.in_time}
        output.document({"id": switch.id, "account": switch.account} | result)
    else:
        output.say(beat_text(sent))


def disarm(
    switch_id: SwitchArgument, epoch: EpochOption = None, as_json: JsonOption = False
) -> None:
    """End a switch; its orders stay open. Disarming it again is no error."""
    found = find_switch(resources.open_switches(), switch_id)
    switch = resources.open_producer().switch(found, epoch=epoch or 0)
    switch.disarm()
    record = switch.record()
    now_ms = resources.open_listing().now_ms()
    fires_ms = record.fires_ms if record else None
    runs = fires_ms is not None and fires_ms > now_ms
    if as_json:
        known = record.describe(now_ms) if record else {"id": switch.id}
        output.document(known)
    else:
        output.say(f"{switch.id} disarmed; its orders stay open")
        if runs:
            output.say(
                "a worker now stops the exchange's own timer; `cancel-worker switches` shows when"
            )
    if runs:
        note_without_workers()
