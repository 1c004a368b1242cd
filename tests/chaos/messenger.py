"""A strategy that knows Celery alone: it moves its countdown with plain messages."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading

from tests.chaos.history import Said, SwitchCall
from tests.chaos.stage import Stage
from tests.chaos.strategies import BEATS, LIVES, Character
from tests.chaos.workload import plain_client
from worker import clock

DISARMS = 0.3
"""How many of them end with a message that says so."""
OVERTAKEN = 0.3
"""How many of the disarms are followed by a message that was sent before them."""
OVERTAKEN_MS = 50


class Messenger(threading.Thread):
    """Sends countdown messages of one scope after another, until stopped.

    What it is answered is never more than "maybe": a message is read when it is
    read. But it names the moment it was sent, so it may move no deadline beyond
    a timeout after that.
    """

    def __init__(
        self, stage: Stage, seed: str, character: Character, *, stop: threading.Event
    ) -> None:
        super().__init__(name=f"messenger {seed}", daemon=True)
        self._stage = stage
        self._name = seed
        self._rng = random.Random(f"messenger {seed}")
        self._character = character
        self._stop_event = stop
        self._plain = plain_client(*stage.broker)

    def run(self) -> None:
        """Live, and die, repeatedly."""
        for n in itertools.count():
            if self._stop_event.is_set():
                return
            self._live(f"m{self._name}x{n}_idr")

    def _live(self, pair: str) -> None:
        account = self._character.account
        self._stage.world.place(account, 1, pair=pair)
        timeout_ms = self._rng.randint(*self._character.timeout_ms)
        until = clock.monotonic_ms() + timeout_ms * self._rng.uniform(*LIVES)
        while clock.monotonic_ms() < until and not self._stop_event.is_set():
            self._send(pair, timeout_ms, timeout_ms)
            clock.wait_ms(self._stop_event, BEATS * timeout_ms)
        if self._rng.random() < DISARMS:
            self.end(pair, timeout_ms, overtaken=self._rng.random() < OVERTAKEN)

    def end(self, pair: str, timeout_ms: int, *, overtaken: bool) -> None:
        """Disarm; if `overtaken`, a message that was sent before is read after it."""
        sent_ms = clock.now_ms()
        self._send(pair, 0, timeout_ms, sent_ms=sent_ms)
        if overtaken:
            self._send(pair, timeout_ms, timeout_ms, sent_ms=sent_ms - OVERTAKEN_MS)

    def _send(
        self, pair: str, told_ms: int, timeout_ms: int, *, sent_ms: int | None = None
    ) -> None:
        sent_ms = clock.now_ms() if sent_ms is None else sent_ms
        account = self._character.account
        kwargs = {"account": account, "pairs": [pair], "timeout_ms": told_ms, "sent_ms": sent_ms}
        said: Said = "maybe"
        # kombu raises what its transport does, of many kinds; it may have been sent.
        with contextlib.suppress(Exception):
            self._plain.send_task("worker.countdown", kwargs=kwargs)
            said = "maybe" if told_ms else "queued"
        self._stage.recorder.switch(
            SwitchCall(
                call="message" if told_ms else "disarm",
                account=account,
                pair=pair,
                holder=self.name,
                timeout_ms=timeout_ms,
                sent_ms=sent_ms,
                told_ms=sent_ms,
                said=said,
            )
        )
