"""`cancel` and `cancel-all`: enqueue, and wait for proof with `--wait`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, resources
from worker.cli.attending import note_without_workers
from worker.cli.commands.cancel_direct import cancel_all_direct, cancel_direct
from worker.cli.commands.panic import order_described, print_orders
from worker.cli.confirming import confirm
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.cli.options import (
    AccountArgument,
    DirectOption,
    JsonOption,
    KeepStopsOption,
    PairOption,
    PrefixOption,
    SideOption,
    WaitOption,
    YesOption,
    with_unit,
)
from worker.cli.progress import progress_bar
from worker.model.jobs import KEEP, TAKE

if TYPE_CHECKING:
    from worker.client.ticket import Result, Ticket

LINE_MAX = 4_096
"""Characters in a line of standard input from which it is no order id."""
STDIN = "-"
HEADERS = ("ORDER", "PROVEN", "OUTCOME", "STATE", "TRIES", "TOOK")


def cancel(
    *,
    account: AccountArgument,
    order_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ORDER_ID]…",
            help="Ids that the exchange gave; - alone reads them from standard input, one a line.",
            show_default=False,
        ),
    ] = None,
    client_order_ids: Annotated[
        list[str] | None,
        typer.Option(
            "--client-order-id",
            metavar="ID",
            help="The id that your strategy gave the order; repeatable.",
            show_default=False,
        ),
    ] = None,
    pair: PairOption = None,
    side: SideOption = None,
    wait: WaitOption = None,
    direct: DirectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel orders.

    Prints the job of each order. A printed job survives the death of any process,
    except with --direct, which records nothing.
    """
    by_client = client_order_ids or []
    ids = _from_stdin() if order_ids == [STDIN] else order_ids or []
    if STDIN in ids:
        raise typer.BadParameter("'-' reads order ids from standard input and must be alone")
    if not ids and not by_client:
        raise typer.BadParameter("give order ids, or --client-order-id")
    if direct:
        cancel_direct(
            account,
            ids,
            client_order_ids=by_client,
            pair=pair,
            side=side,
            wait_s=wait,
            as_json=as_json,
        )
        return
    tickets = resources.open_producer().cancel_many(
        account, ids, client_order_ids=by_client, pair=pair, side=side
    )
    _report(account, tickets, wait_s=wait, as_json=as_json)


def cancel_all(
    *,
    account: AccountArgument,
    pair: PairOption = None,
    side: SideOption = None,
    client_id_prefix: PrefixOption = None,
    keep_stops: KeepStopsOption = False,
    hold: Annotated[
        int | None,
        typer.Option(
            "--hold",
            metavar="TIME",
            help="Keep the scope empty for so long, such as 60s: cancel what is still placed.",
            parser=with_unit,
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = None,
    direct: DirectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel all open orders of an account, a pair or a side.

    Asks first on a terminal.
    """
    if direct and hold is not None:
        raise typer.BadParameter("--hold is kept by workers; it takes no --direct")
    named = (("pair", pair), ("side", side), ("client ids from", client_id_prefix))
    scope = "".join(f", {name} {value}" for name, value in named if value)
    confirm(f"cancel all open orders of account {account}{scope}", yes=yes)
    stops = KEEP if keep_stops else TAKE
    if direct:
        cancel_all_direct(
            account,
            pair=pair,
            side=side,
            client_id_prefix=client_id_prefix,
            stops=stops,
            wait_s=wait,
            as_json=as_json,
        )
        return
    ticket = resources.open_producer().cancel_all(
        account,
        pair=pair,
        side=side,
        client_id_prefix=client_id_prefix,
        stops=stops,
        hold_ms=hold or 0,
    )
    _report(account, [ticket], wait_s=wait, as_json=as_json)


def _from_stdin() -> list[str]:
    """Read order ids, one a line; skip empty lines."""
    ids: list[str] = []
    try:
        while line := sys.stdin.readline(LINE_MAX):
            if len(line) == LINE_MAX:
                raise CliError("standard input: a line is too long for an order id", code=MISUSED)
            if order_id := line.removeprefix("\ufeff").strip():
                ids.append(order_id)
    except UnicodeDecodeError:
        raise CliError("standard input is not UTF-8 text", code=MISUSED) from None
    if not ids:
        raise CliError("standard input contains no order id; nothing was queued", code=MISUSED)
    return ids


def _report(
    account: str, tickets: Sequence[Ticket], *, wait_s: float | None, as_json: bool
) -> None:
    if wait_s is None:
        note_without_workers()
        if as_json:
            output.document({"account": account, "jobs": [_ticket(ticket) for ticket in tickets]})
        else:
            for ticket in tickets:
                output.say(ticket.id)
        return
    sys.stdout.flush()
    job_ids = [ticket.id for ticket in tickets]
    from worker.client.ticket import wait_for  # noqa: PLC0415  slow

    with progress_bar(len(set(job_ids))) as progress:
        results = wait_for(
            resources.open_listing(),
            job_ids,
            timeout_ms=wait_s * 1_000,
            on_ended=progress,
            through_outages=True,
        )
    waited = [(ticket, results[ticket.id]) for ticket in tickets]
    proven = all(result.proven for _, result in waited)
    orders = tickets[0].orders() if not tickets[0].order and not _pending(results) else []
    if as_json:
        jobs = [_ticket(ticket) | _result(result) for ticket, result in waited]
        listed = {"orders": [order_described(each) for each in orders]} if orders else {}
        output.document({"account": account, "proven": proven, "jobs": jobs} | listed)
    else:
        output.table(
            (*HEADERS, "CANCELED", "CLOSED", "JOB", "KNOWN"),
            [
                (
                    ticket.order or "all",
                    result.proven,
                    result.outcome,
                    result.state,
                    result.attempts,
                    output.duration(result.latency_ms),
                    result.canceled or None,
                    result.closed or None,
                    ticket.id,
                    result.detail,
                )
                for ticket, result in waited
            ],
        )
        print_orders(orders)
    if not proven:
        open_jobs = sum(not result.proven for _, result in waited)
        output.note(
            f"{open_jobs} of {len(waited)} not proven within {wait_s:g} s; workers continue the "
            "pending jobs: see `cancel-worker show ID`"
        )
        raise typer.Exit(FAILED)


def _pending(results: Mapping[str, Result]) -> bool:
    return any(result.latency_ms is None for result in results.values())


def _ticket(ticket: Ticket) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "order_id": ticket.order_id,
        "client_order_id": ticket.client_order_id,
        "fresh": ticket.fresh,
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "proven": result.proven,
        "state": result.state,
        "outcome": result.outcome,
        "attempts": result.attempts,
        "latency_ms": result.latency_ms,
        "detail": result.detail,
        "canceled": result.canceled,
        "closed": result.closed,
    }
