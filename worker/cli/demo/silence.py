"""The demo's scenes of countdown switches. Each raises if what it shows does not hold."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable

from worker import clock
from worker.cli.demo.stage import PAIR, NotShown, Stage, until_true
from worker.cli.demo.strategies import Strategy, start_strategy
from worker.model.switches import SwitchRecord

TIMEOUT_MS = {"ix": 3_700, "ev": 2_000}
"""By account: where the exchange is to hold the timer, workers must have time to renew it."""
ORDERS = 3
OTHER_PAIR = "eth_idr"
OTHER_TRADER = "simulated-key-of-another"
NATIVE_LATE_MS = 300
EMULATED_LATE_MS = 2_500
"""Beyond the deadline: what a busy machine may take to have it shown."""
EARLY_MS = TIMEOUT_MS["ix"] // 4 + 300
"""A renewal lags by a quarter at most; so much more is taken off for the way."""
CLOCKS_MS = 50
"""By which the clocks of Redis and of the exchange may seem to differ here."""
AFTER_MS = 500
STARTED_MS = 5_000

Say = Callable[[str], None]


def native(stage: Stage, say: Say) -> None:
    """Kill a strategy where the exchange itself keeps a timer."""
    scope = {"pairs": [PAIR]}
    mine = stage.place("ix", ORDERS)
    others = _bystanders(stage, "ix")
    record = _killed(stage, say, "ix", mine, scope)
    first_ms, last_ms, closers = _off_the_book(stage, "ix", mine, record)
    hold(first_ms, last_ms, early_ms=EARLY_MS + CLOCKS_MS, late_ms=NATIVE_LATE_MS)
    say(f"{_since(record, last_ms)} (promised: 0 to {EARLY_MS} ms before)")
    say(f"{closers['countdown']} by the exchange's own timer, {closers['cancel']} by a worker")
    _untouched(stage, say, "ix", others)


def emulated(stage: Stage, say: Say) -> None:
    """Kill a strategy where the exchange has no timer, so that workers hold the deadline."""
    mine = stage.place("ev", ORDERS)
    tracked = stage.place("ev", pair=OTHER_PAIR)
    scope = {"pairs": [PAIR], "order_ids": tracked}
    others = _bystanders(stage, "ev")
    record = _killed(stage, say, "ev", mine + tracked, scope)
    first_ms, last_ms, _ = _off_the_book(stage, "ev", mine + tracked, record)
    hold(first_ms, last_ms, early_ms=CLOCKS_MS, late_ms=EMULATED_LATE_MS)
    say(f"{_since(record, last_ms)} (promised: at the deadline)")
    _untouched(stage, say, "ev", others)


def disarmed(stage: Stage, say: Say) -> None:
    """End strategies cleanly; their orders stay."""
    placed = {alias: stage.place(alias, ORDERS) for alias in ("ix", "ev")}
    running = {alias: _start(stage, alias, {"pairs": [PAIR]}) for alias in placed}
    until_true(lambda: _timers(stage, "ix"), what="the exchange's timer runs", within_ms=STARTED_MS)
    begun_ms = clock.monotonic_ms()
    records = {alias: strategy.end(signal.SIGTERM) for alias, strategy in running.items()}
    for alias, record in records.items():
        if record.state != "disarmed":
            raise NotShown(f"the switch of {alias} is {record.state}")
    until_true(lambda: not _timers(stage, "ix"), what="the exchange's timer stopped")
    took_ms = clock.monotonic_ms() - begun_ms
    say(f"both disarmed and ended, the exchange's own timer stopped, within {took_ms:.0f} ms")
    late_ms = max(record.deadline_ms for record in records.values()) + AFTER_MS
    until_true(lambda: stage.ledger.now_ms() > late_ms, what="the deadlines are over")
    for alias, ids in placed.items():
        _still_open(stage, alias, ids)
    say(f"{AFTER_MS} ms after the deadlines that stood: all {2 * ORDERS} orders still open")


def hold(first_ms: int, last_ms: int, *, early_ms: int, late_ms: int) -> None:
    """Hold when orders came off, in ms after the deadline, against what is promised.

    Raises:
        NotShown: It was too early or too late.
    """
    if not -early_ms <= first_ms <= last_ms <= late_ms:
        raise NotShown(
            f"orders came off from {first_ms} to {last_ms} ms after the deadline, "
            f"instead of from {-early_ms} to {late_ms}"
        )


def _start(stage: Stage, alias: str, scope: dict[str, list[str]]) -> Strategy:
    return start_strategy(stage, {"account": alias, **scope, "timeout_ms": TIMEOUT_MS[alias]})


def _killed(
    stage: Stage, say: Say, alias: str, mine: list[str], scope: dict[str, list[str]]
) -> SwitchRecord:
    """Let a strategy live beyond its first deadline, then kill it; return its switch."""
    strategy = _start(stage, alias, scope)
    armed = strategy.record()
    timeout_ms = TIMEOUT_MS[alias]
    first_ms = armed.beat_ms + timeout_ms
    until_true(
        lambda: strategy.alive() and stage.ledger.now_ms() > first_ms,
        within_ms=timeout_ms + STARTED_MS,
        what="the strategy lives on",
    )
    _still_open(stage, alias, mine)
    record = strategy.end(signal.SIGKILL)
    held_ms = record.beat_ms - armed.beat_ms
    say(
        f"{stage.accounts[alias].exchange}: beats held a switch of {timeout_ms} ms for "
        f"{held_ms} ms, every order open; then SIGKILL"
    )
    return record


def _off_the_book(
    stage: Stage, alias: str, mine: list[str], record: SwitchRecord
) -> tuple[int, int, Counter[str]]:
    """Wait for the orders to close; return first and last ms after the deadline, and by whom."""
    until_true(
        lambda: all(stage.truth(alias, order_id) != "open" for order_id in mine),
        within_ms=record.timeout_ms + EMULATED_LATE_MS,
        what="the orders are off the book",
    )
    orders = [stage.order(alias, order_id) for order_id in mine]
    late_ms = [round((order.closed_ms or 0) - record.deadline_ms) for order in orders]
    if any(order.status != "canceled" for order in orders):
        raise NotShown("an order ended otherwise than canceled")
    return min(late_ms), max(late_ms), Counter(str(order.closed_by) for order in orders)


def _since(record: SwitchRecord, late_ms: int) -> str:
    after = f"{abs(late_ms)} ms {'after' if late_ms > 0 else 'before'} the deadline"
    return f"all off the book {record.timeout_ms + late_ms} ms after its last beat, {after}"


def _bystanders(stage: Stage, alias: str) -> list[str]:
    """Place orders that no switch is for: of another pair, and of another trader."""
    exchange = stage.accounts[alias].exchange
    stage.sim.add_key(exchange, OTHER_TRADER, "simulated-secret-of-another")
    theirs = stage.sim.place(exchange, OTHER_TRADER, pair=PAIR)
    return stage.place(alias, pair=OTHER_PAIR) + theirs


def _untouched(stage: Stage, say: Say, alias: str, others: list[str]) -> None:
    """Show, once all cancels of the switch have ended, that it had its scope alone."""
    until_true(
        lambda: not stage.ledger.pending(limit=1, account=alias), what="the switch's cancels ended"
    )
    _still_open(stage, alias, others)
    say("orders of another pair and of another trader: still open")


def _still_open(stage: Stage, alias: str, ids: list[str]) -> None:
    closed = [order_id for order_id in ids if stage.truth(alias, order_id) != "open"]
    if closed:
        raise NotShown(f"orders were canceled that should be open: {', '.join(closed)}")


def _timers(stage: Stage, alias: str) -> bool:
    api_key = stage.accounts[alias].api_key
    return any(timer.api_key == api_key for timer in stage.sim.timers())
