"""Scenes of the demo about cancels. Each raises `NotShown` on a wrong result."""

from __future__ import annotations

from collections.abc import Callable

from worker import clock
from worker.cli.demo.stage import LEASE_MS, NotShown, Stage, until_true
from worker.client.ticket import Result, Ticket
from worker.model.outcomes import Outcome

SIDE = "buy"
BURST = 100
WAIT_MS = 15_000

Say = Callable[[str], None]


def cancel(stage: Stage, alias: str, order_id: str) -> Ticket:
    """Enqueue one cancel as a strategy does."""
    return stage.producer.cancel(alias, order_id, pair=stage.accounts[alias].pair, side=SIDE)


def proven(stage: Stage, ticket: Ticket, expected: Outcome, book: str) -> Result:
    """Wait for a job and compare its outcome with the exchange's order book.

    Raises:
        NotShown: They differ from what is expected.
    """
    result = ticket.wait(timeout_ms=WAIT_MS)
    truth = stage.truth(ticket.account, ticket.order_id or "")
    if result.outcome is not expected or not result.proven or truth != book:
        raise NotShown(
            f"order {ticket.order_id}: expected {expected}, got {result.outcome} "
            f"({result.detail or result.state}); the book says {truth}"
        )
    return result


def one_each(stage: Stage, say: Say) -> None:
    """Cancel one order on every exchange."""
    for alias, account in stage.accounts.items():
        (order_id,) = stage.place(alias)
        result = proven(stage, cancel(stage, alias, order_id), Outcome.CANCELED, "canceled")
        say(
            f"{account.exchange:<11} {order_id[:12]:<13} CANCELED, proven in {result.latency_ms} ms"
        )


def burst(stage: Stage, say: Say) -> None:
    """Cancel many orders with one call."""
    ids = stage.place("ev", BURST)
    begun_ms = clock.monotonic_ms()
    tickets = stage.producer.cancel_many("ev", ids)
    queued_ms = clock.monotonic_ms() - begun_ms
    for ticket in tickets:
        proven(stage, ticket, Outcome.CANCELED, "canceled")
    took_ms = clock.monotonic_ms() - begun_ms
    say(f"{BURST} orders accepted in {queued_ms:.0f} ms, all proven canceled in {took_ms:.0f} ms")


def filled(stage: Stage, say: Say) -> None:
    """Cancel an order that was filled just before."""
    (order_id,) = stage.place("bm")
    stage.sim.fill(stage.accounts["bm"].exchange, order_id)
    result = proven(stage, cancel(stage, "bm", order_id), Outcome.GONE, "filled")
    say(f'the exchange reports it filled: GONE, not "canceled" ({result.latency_ms} ms)')


def lost_reply(stage: Stage, say: Say) -> None:
    """Lose the reply to a cancel that the exchange has executed."""
    account = stage.accounts["ix"]
    (order_id,) = stage.place("ix")
    stage.sim.fault_next("accept_then_drop", exchange=account.exchange)
    result = proven(stage, cancel(stage, "ix", order_id), Outcome.CANCELED, "canceled")
    say(
        f"UNKNOWN at first, CANCELED once proven by a query: "
        f"{result.attempts} requests, {result.latency_ms} ms"
    )


def killed_worker(stage: Stage, say: Say) -> None:
    """Kill a worker with SIGKILL during its request."""
    stage.wait_for_workers(2)
    (order_id,) = stage.place("ev")
    stage.sim.set_option("delay_ms", 2 * LEASE_MS)
    stage.sim.fault_next("delay", exchange=stage.accounts["ev"].exchange)
    seen = len(stage.sim.journal())
    ticket = cancel(stage, "ev", order_id)
    until_true(lambda: len(stage.sim.journal()) > seen, what="the request arrived")
    job = stage.ledger.get(ticket.id)
    if job is None or job.claimed_by is None:
        raise NotShown("no worker holds the job whose request was sent")
    stage.workers[int(job.claimed_by.split(":")[1])].kill()
    killed_ms = clock.monotonic_ms()
    proven(stage, ticket, Outcome.CANCELED, "canceled")
    took_ms = clock.monotonic_ms() - killed_ms
    say(
        f"another worker claimed the job after its lease of {LEASE_MS} ms: "
        f"proven {took_ms:.0f} ms after the kill"
    )
