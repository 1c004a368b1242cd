"""Which pairs an exchange refuses, lest they cost the other pairs of their switch its timer.

A request that names one pair that is disabled is refused as a whole. Where the
refusal names the pair, that is set aside; where it does not, each pair has a
request of its own until the one at fault is found. What is set aside is tried
again after a while, and at once when its switch is armed or disarmed anew.
"""

from __future__ import annotations

import re
from dataclasses import replace

from worker.store.switches import NativeSwitch

ASIDE_MS = 30_000
"""How long a refused pair is left out of its switch's requests."""
WORD = re.compile(r"[\w-]+")


class Refusals:
    """What one process has been refused. For one thread a switch at a time.

    Attributes:
        apart: Switches whose pairs have a request each for now, by id.
    """

    def __init__(self) -> None:
        self.apart: set[str] = set()
        self._aside: dict[tuple[str, int, str], float] = {}
        """Switch, its epoch and the pair → until when, on the local monotonic clock."""

    def without(self, switch: NativeSwitch, *, now_ms: float) -> NativeSwitch:
        """Return a switch without the pairs that are set aside; never without all."""
        left = self._left(switch, now_ms)
        return replace(switch, pairs=left) if left else switch

    def learn(
        self, switch: NativeSwitch, sent: tuple[str, ...], said: str, *, now_ms: float
    ) -> tuple[str, ...] | None:
        """Take in that a request was refused for good.

        Args:
            switch: That it was for, with all its pairs.
            sent: The pairs that it named.
            said: The exchange's words.
            now_ms: On the local monotonic clock.

        Returns:
            The pairs set aside for it, none while it is not known which are at
            fault; None if no other pair is left, so that the switch must rest.
        """
        named = set(WORD.findall(said.casefold()))
        at_fault = sent if len(sent) == 1 else tuple(p for p in sent if p.casefold() in named)
        left = self._left(switch, now_ms)
        if set(left) <= set(at_fault):
            return None
        if not at_fault:
            self.apart.add(switch.id)
            return ()
        self.apart.discard(switch.id)
        self._aside = {known: until for known, until in self._aside.items() if until > now_ms}
        for pair in at_fault:
            self._aside[switch.id, switch.epoch, pair] = now_ms + ASIDE_MS
        return at_fault

    def _left(self, switch: NativeSwitch, now_ms: float) -> tuple[str, ...]:
        return tuple(
            pair
            for pair in switch.pairs
            if self._aside.get((switch.id, switch.epoch, pair), 0) <= now_ms
        )
