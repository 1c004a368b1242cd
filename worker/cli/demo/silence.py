"""Scenes of the demo about switches, which run at the same time, on pairs of their own.

Each raises `NotShown` on a wrong result.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from worker import clock
from worker.cli.demo.stage import PAIR, NotShown, Stage, until_true
from worker.cli.demo.strategies import Strategy, arm, ready_strategy
from worker.model.switches import SwitchRecord, SwitchState

TIMEOUT_MS = {"ix": 3_700, "ev": 2_000, "bu": 8_000}
"""By account. An exchange's timer needs a timeout that workers have time to renew."""
ORDERS = 3
OTHER_PAIR = "eth_idr"
CLEAN_PAIRS = {"bu": "LTCUSDT", "ev": "ltc_idr"}
"""Of the strategies that stop cleanly, by account: none that shares a limit with another scene."""
OTHER_TRADER = "simulated-key-of-another"
NATIVE_LATE_MS = 300
EMULATED_LATE_MS = 2_500
"""Time after the deadline that a busy machine may need."""
EARLY_MS = TIMEOUT_MS["ix"] // 4 + 300
"""A renewal lags by up to a quarter of the timeout; 300 ms are reserved for the request."""
CLOCKS_MS = 50
"""Measured difference between the clocks of Redis and the exchange on one machine."""
AFTER_MS = 500
STARTED_MS = 20_000

Say = Callable[[str], None]


class Cast:
    """The strategies: started ahead of their scenes, as a start takes a second.

    Args:
        stage: Where they run.
    """

    def __init__(self, stage: Stage) -> None:
        # What is canceled by id is placed ahead of its strategy, which must name it.
        self.tracked = stage.place("ev", pair=OTHER_PAIR)
        wanted: dict[str, tuple[str, dict[str, list[str]]]] = {
            "native": ("ix", {"pairs": [PAIR]}),
            "emulated": ("ev", {"pairs": [PAIR], "order_ids": self.tracked}),
            **{f"clean-{alias}": (alias, {"pairs": [pair]}) for alias, pair in CLEAN_PAIRS.items()},
        }
        self._stage = stage
        self._ready = {
            name: ready_strategy(
                stage, {"account": alias, **scope, "timeout_ms": TIMEOUT_MS[alias]}
            )
            for name, (alias, scope) in wanted.items()
        }

    def arm(self, name: str) -> Strategy:
        """Have a strategy arm its switch."""
        return arm(self._stage, self._ready[name])


Scene = Callable[[Stage, Cast, Say], None]


def at_once(stage: Stage, cast: Cast) -> Iterator[tuple[str, Iterator[str]]]:
    """Run all scenes at the same time.

    Yields:
        The title of each, and its lines as they come.
    """
    scenes = {
        "A strategy is killed; the exchange has a timer": native,
        "A strategy is killed; the exchange has no timer": emulated,
        "Strategies stop cleanly": disarmed,
    }

    def play(scene: Scene, lines: SimpleQueue[str | None]) -> None:
        try:
            scene(stage, cast, lines.put)
        finally:
            lines.put(None)

    with ThreadPoolExecutor(len(scenes)) as pool:
        queues = {title: SimpleQueue[str | None]() for title in scenes}
        played = {title: pool.submit(play, scene, queues[title]) for title, scene in scenes.items()}
        for title in scenes:
            yield title, _lines(queues[title], played[title])


def _lines(queue: SimpleQueue[str | None], played: Future[None]) -> Iterator[str]:
    while (line := queue.get()) is not None:
        yield line
    played.result()


def native(stage: Stage, cast: Cast, say: Say) -> None:
    """Kill a strategy on an exchange with a timer of its own."""
    mine = stage.place("ix", ORDERS)
    others = _bystanders(stage, "ix")
    record = _run_and_kill(stage, say, "ix", mine, cast.arm("native"))
    first_ms, last_ms, closers = _wait_closed(stage, "ix", mine, record)
    check_delay(first_ms, last_ms, early_ms=EARLY_MS + CLOCKS_MS, late_ms=NATIVE_LATE_MS)
    say(f"{_since(record, last_ms)} (promised: at most {EARLY_MS} ms before)")
    say(f"{closers['countdown']} by the exchange's own timer, {closers['cancel']} by a worker")
    _untouched(stage, say, "ix", others)


def emulated(stage: Stage, cast: Cast, say: Say) -> None:
    """Kill a strategy on an exchange without a timer: workers hold the deadline."""
    mine = stage.place("ev", ORDERS) + cast.tracked
    others = _bystanders(stage, "ev")
    record = _run_and_kill(stage, say, "ev", mine, cast.arm("emulated"))
    first_ms, last_ms, _ = _wait_closed(stage, "ev", mine, record)
    check_delay(first_ms, last_ms, early_ms=CLOCKS_MS, late_ms=EMULATED_LATE_MS)
    say(f"{_since(record, last_ms)} (promised: at the deadline)")
    _untouched(stage, say, "ev", others)


def disarmed(stage: Stage, cast: Cast, say: Say) -> None:
    """Stop strategies cleanly; their orders stay open."""
    placed = {alias: stage.place(alias, ORDERS, pair=pair) for alias, pair in CLEAN_PAIRS.items()}
    running = {alias: cast.arm(f"clean-{alias}") for alias in placed}
    until_true(lambda: _timers(stage, "bu"), what="the exchange's timer runs", within_ms=STARTED_MS)
    begun_ms = clock.monotonic_ms()
    records = {alias: strategy.end(signal.SIGTERM) for alias, strategy in running.items()}
    for alias, record in records.items():
        if record.state is not SwitchState.DISARMED:
            raise NotShown(f"the switch of {alias} is {record.state}")
    until_true(lambda: not _timers(stage, "bu"), what="the exchange's timer stopped")
    took_ms = clock.monotonic_ms() - begun_ms
    say(f"both disarmed, the exchange's own timer stopped within {took_ms:.0f} ms")
    late_ms = max(record.deadline_ms for record in records.values()) + AFTER_MS
    until_true(lambda: stage.ledger.now_ms() > late_ms, what="the deadlines have passed")
    for alias, ids in placed.items():
        _still_open(stage, alias, ids)
    say(f"{AFTER_MS} ms after the last deadline: all {2 * ORDERS} orders still open")


def check_delay(first_ms: int, last_ms: int, *, early_ms: int, late_ms: int) -> None:
    """Check when orders were closed, in ms after the deadline; negative is before.

    Raises:
        NotShown: An order was closed too early or too late.
    """
    if not -early_ms <= first_ms <= last_ms <= late_ms:
        raise NotShown(
            f"orders were closed {first_ms} to {last_ms} ms after the deadline, "
            f"instead of {-early_ms} to {late_ms}"
        )


def _run_and_kill(
    stage: Stage, say: Say, alias: str, mine: list[str], strategy: Strategy
) -> SwitchRecord:
    """Have a strategy run past its first deadline, then kill it; return its switch."""
    armed = strategy.record()
    timeout_ms = TIMEOUT_MS[alias]
    first_ms = armed.beat_ms + timeout_ms
    until_true(
        lambda: strategy.alive() and stage.ledger.now_ms() > first_ms,
        within_ms=timeout_ms + STARTED_MS,
        what="the strategy keeps running",
    )
    _still_open(stage, alias, mine)
    record = strategy.end(signal.SIGKILL)
    held_ms = record.beat_ms - armed.beat_ms
    say(
        f"{stage.accounts[alias].exchange}: heartbeats held a switch of {timeout_ms} ms for "
        f"{held_ms} ms, every order open; then SIGKILL"
    )
    return record


def _wait_closed(
    stage: Stage, alias: str, mine: list[str], record: SwitchRecord
) -> tuple[int, int, Counter[str]]:
    """Wait for the orders to close.

    Returns:
        Ms after the deadline of the first and of the last, and how many each
        cause closed.
    """
    until_true(
        lambda: all(stage.truth(alias, order_id) != "open" for order_id in mine),
        within_ms=record.timeout_ms + EMULATED_LATE_MS,
        what="the orders are closed",
    )
    orders = [stage.order(alias, order_id) for order_id in mine]
    late_ms = [round((order.closed_ms or 0) - record.deadline_ms) for order in orders]
    if any(order.status != "canceled" for order in orders):
        raise NotShown("an order was closed by something other than a cancel")
    return min(late_ms), max(late_ms), Counter(str(order.closed_by) for order in orders)


def _since(record: SwitchRecord, late_ms: int) -> str:
    after = f"{abs(late_ms)} ms {'after' if late_ms > 0 else 'before'} the deadline"
    return f"all canceled {record.timeout_ms + late_ms} ms after its last heartbeat, {after}"


def _bystanders(stage: Stage, alias: str) -> list[str]:
    """Place orders outside the switch's scope: another pair, another trader."""
    exchange = stage.accounts[alias].exchange
    stage.sim.add_key(exchange, OTHER_TRADER, "simulated-secret-of-another")
    theirs = stage.sim.place(exchange, OTHER_TRADER, pair=PAIR)
    return stage.place(alias, pair=OTHER_PAIR) + theirs


def _untouched(stage: Stage, say: Say, alias: str, others: list[str]) -> None:
    """Check, after all cancels of the switch, that orders outside its scope are open."""
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
    mine = api_key, CLEAN_PAIRS[alias]
    return any((timer.api_key, timer.pair) == mine for timer in stage.sim.timers())
