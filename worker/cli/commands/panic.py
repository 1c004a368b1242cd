"""`panic`: cancel everything open of all accounts, or of some, at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, resources
from worker.cli.attending import note_without_workers
from worker.cli.completion import account_aliases
from worker.cli.confirming import confirm
from worker.cli.errors import FAILED
from worker.cli.options import DirectOption, JsonOption, WaitOption, YesOption
from worker.errors import CancelWorkerError

if TYPE_CHECKING:
    from worker.client.orders import OrderResult
    from worker.client.ticket import Result, Ticket

WAIT_S = 30.0
SUMMARY = ("ACCOUNT", "PROVEN", "OUTCOME", "CANCELED", "CLOSED", "JOB", "KNOWN")
ORDERS = ("ORDER", "ACCOUNT", "PAIR", "SIDE", "OUTCOME", "KNOWN")


def panic(
    *,
    accounts: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            metavar="ACCOUNT",
            help="Only this account; repeatable. Default: all of them.",
            autocompletion=account_aliases,
        ),
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = None,
    direct: DirectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel everything open, of all accounts or of some.

    Asks first on a terminal. Goes ahead of all other work. Prints one summary, and every order
    that was canceled by itself; waits for proof, 30 s unless --wait says otherwise.
    """
    named = ", ".join(accounts) if accounts else "every account"
    confirm(f"cancel everything open of {named}", yes=yes)
    within_s = WAIT_S if wait is None else wait
    if direct:
        _print(*_directly(accounts, within_s), orders=[], within_s=within_s, as_json=as_json)
        return
    from worker.client.ticket import wait_for  # noqa: PLC0415  slow

    begun = resources.open_producer().panic(accounts or None)
    note_without_workers()
    listing = resources.open_listing()
    ids = [ticket.id for ticket in begun.tickets]
    results = wait_for(listing, ids, timeout_ms=within_s * 1_000, through_outages=True)
    rows = [(ticket.account, ticket.id, results[ticket.id]) for ticket in begun.tickets]
    orders = _orders(begun.tickets)
    _print(rows, begun.refused, orders=orders, within_s=within_s, as_json=as_json)


def _directly(
    accounts: Sequence[str] | None, within_s: float
) -> tuple[list[tuple[str, str, Result]], dict[str, str]]:
    """Cancel from this process, all accounts at the same time."""
    from worker.client.producer import Producer  # noqa: PLC0415  slow

    logging.getLogger("worker").addHandler(logging.NullHandler())  # they would break the table
    settings = resources.open_settings()
    producer = Producer(settings)
    named = list(dict.fromkeys(accounts or sorted(settings.accounts)))
    for account in named:
        settings.account(account)

    def run(account: str) -> Result | str:
        try:
            return producer.cancel_all_direct(account, timeout_ms=round(within_s * 1_000))
        except CancelWorkerError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=max(1, len(named))) as pool:
        found = dict(zip(named, pool.map(run, named), strict=True))
    rows = [(account, "", it) for account, it in found.items() if not isinstance(it, str)]
    return rows, {account: it for account, it in found.items() if isinstance(it, str)}


def _orders(tickets: Sequence[Ticket]) -> list[OrderResult]:
    try:
        return [order for ticket in tickets for order in ticket.orders()]
    except CancelWorkerError as error:
        output.note(f"the orders cannot be listed: {error}")
        return []


def _print(
    rows: Sequence[tuple[str, str, Result]],
    refused: dict[str, str],
    *,
    orders: Sequence[OrderResult],
    within_s: float,
    as_json: bool,
) -> None:
    unproven = [account for account, _, result in rows if not result.proven]
    if as_json:
        output.document(
            {
                "proven": not unproven and not refused,
                "jobs": [_described(*row) for row in rows],
                "refused": refused,
                "orders": [order_described(order) for order in orders],
            }
        )
    else:
        output.table(SUMMARY, [_row(*row) for row in rows])
        print_orders(orders)
    for account, why in refused.items():
        output.note(f"account {account} was left out: {why}")
    if unproven:
        output.note(f"not proven within {within_s:g} s: {', '.join(unproven)}")
    if unproven or refused:
        raise typer.Exit(FAILED)


def print_orders(orders: Sequence[OrderResult]) -> None:
    """Print what became of single orders, below a summary."""
    if orders:
        output.say("")
        output.table(
            ORDERS,
            [
                (
                    order.order_id or order.client_order_id,
                    order.account,
                    order.pair,
                    order.side,
                    order.outcome,
                    order.detail,
                )
                for order in orders
            ],
        )


def order_described(order: OrderResult) -> dict[str, Any]:
    """Return what became of an order as JSON."""
    return {
        "id": order.id,
        "account": order.account,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "pair": order.pair,
        "side": order.side,
        "state": order.state,
        "outcome": order.outcome,
        "detail": order.detail,
        "latency_ms": order.latency_ms,
    }


def _row(account: str, job_id: str, result: Result) -> tuple[object, ...]:
    counts = (result.canceled or None, result.closed or None)
    return (account, result.proven, result.outcome, *counts, job_id, result.detail)


def _described(account: str, job_id: str, result: Result) -> dict[str, Any]:
    return {
        "id": job_id or None,
        "account": account,
        "proven": result.proven,
        "state": result.state,
        "outcome": result.outcome,
        "canceled": result.canceled,
        "closed": result.closed,
        "detail": result.detail,
    }
