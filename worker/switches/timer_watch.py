"""Background loop that reads the exchanges' timers, where they can be read.

A timer that another program has changed, or that the exchange has lost, is set again. An account
for which the exchange keeps no timer is left to workers before a request is refused.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from worker import clock
from worker.errors import StoreUnavailable
from worker.exchanges.timer import Timer
from worker.gateway.account import AccountSession
from worker.gateway.exchange_client import ExchangeClient
from worker.model.commands import ReadTimer
from worker.model.holders import HeldWhy
from worker.model.names import lane_of
from worker.model.outcomes import TimerReading
from worker.policy.timer_reads import difference
from worker.store.timer_reads import TimerReads
from worker.switches.countdowns import DENIED_KEPT_MS
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)

LOOK_MS = 1_000
"""From one look to the next, whether a reading is due."""
ASK_MS = 5_000
"""How long one reading may take."""
RETRY_MS = 2_000
RETRY_MAX_MS = 60_000
"""From a reading that failed to the next one, twice as long each time."""


class TimerWatch:
    """A thread that reads the timers of the accounts whose exchange lets them be read.

    Without Redis it waits. Each reading is made by one worker of all.

    Args:
        accounts: Of this process.
        client: Asks the exchanges.
        reads: Says whose turn it is, and has timers set again.
    """

    def __init__(
        self, accounts: Sequence[AccountSession], client: ExchangeClient, reads: TimerReads
    ) -> None:
        self._client = client
        self._reads = reads
        timed = [(each, each.exchange.capabilities.timer) for each in accounts]
        self._watched = [(each, timer) for each, timer in timed if timer and timer.read_every_ms]
        self._retries: dict[str, tuple[float, int]] = {}
        """By alias, when a reading that has failed is repeated, and how long the next pause is."""
        self._said: dict[str, str] = {}
        """By alias, why the exchange keeps no timer, as it was last logged."""

    def start(self, stopping: threading.Event) -> None:
        """Start the thread, unless no timer can be read; it ends once `stopping` is set."""
        if self._watched:
            thread = threading.Thread(
                target=self._run, args=(stopping,), name="timer-watch", daemon=True
            )
            thread.start()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            for session, timer in self._watched:
                if stopping.is_set():
                    return
                try:
                    self.look(session, timer)
                except StoreUnavailable:
                    break
                except Exception:
                    log.exception("the exchange's timer could not be read")
            clock.wait_ms(stopping, LOOK_MS)

    def look(self, session: AccountSession, timer: Timer) -> None:
        """Read the timer of an account if it is due, and have it corrected if it differs.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        retry_at_ms, pause_ms = self._retries.get(session.alias, (0.0, RETRY_MS))
        asked_ms = clock.monotonic_ms()
        if asked_ms < retry_at_ms:
            return
        lane = lane_of(session.exchange.name, session.alias)
        every_ms = pause_ms if retry_at_ms else timer.read_every_ms
        belief = self._reads.turn(lane, every_ms=every_ms, always=timer.conditional)
        if belief is None:
            return
        answer = self._client.ask(session, ReadTimer(), until_ms=asked_ms + ASK_MS)
        if not isinstance(answer, TimerReading):
            self._retries[session.alias] = (
                clock.monotonic_ms() + pause_ms,
                min(RETRY_MAX_MS, 2 * pause_ms),
            )
            detail = getattr(answer, "detail", "") or type(answer).__name__
            log.info("the exchange's timer could not be read: %s", detail, extra=_of(session))
            return
        self._retries.pop(session.alias, None)
        if timer.conditional:
            self._judge(session, lane, answer)
        took_ms = round(clock.monotonic_ms() - asked_ms)
        words, latest_ms = difference(timer, belief, answer, took_ms=took_ms)
        if words and self._reads.doubt(lane, belief, lasts_ms=latest_ms):
            alert(
                "timer changed",
                f"the exchange's timer is not as it was set: {words}. It is set again; "
                "another program may use the account's timer",
                **_of(session),
            )

    def _judge(self, session: AccountSession, lane: str, reading: TimerReading) -> None:
        """Leave an account for which no timer is kept to workers, or end that."""
        why = HeldWhy.DENIED.value if reading.denied else ""
        count = self._reads.judge(lane, why, keep_ms=DENIED_KEPT_MS)
        if reading.denied and (count or self._said.get(session.alias) != why):
            log.warning(
                "the exchange keeps no timer for this account: %s; workers hold its deadlines",
                reading.denied,
                extra=_of(session),
            )
        self._said[session.alias] = why


def _of(session: AccountSession) -> dict[str, str]:
    return {"account": session.alias, "exchange": session.exchange.name}
