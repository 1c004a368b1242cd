"""Which pairs an exchange refuses, so that the other pairs of their switch keep its timer.

A request that names one pair whose trade is halted is refused as a whole. Where
the refusal names the pair, that is left out for a while; armed or disarmed again,
its switch is tried whole at once. What does not say which pair is at fault, or
continues for one pair after another, is no matter of single pairs.
"""

from __future__ import annotations

import re
from dataclasses import replace

from worker.model.switches import NativeSwitch

ASIDE_MS = 30_000
"""How long a refused pair is left out of its switch's requests."""
STOP_MS = 5_000
"""The same of those that stop its timer, so that it does not fire once trading resumes."""
ASIDE_MAX = 5
"""Pairs of a switch that are left out; each is found by a request that is refused."""
WORD = re.compile(r"[\w-]+")


class Refusals:
    """What one process has been refused. Not safe to use from several threads at once."""

    def __init__(self) -> None:
        self._aside: dict[tuple[str, int], dict[str, float]] = {}
        """Switch and its epoch → pair → until when, on the local monotonic clock."""

    def without(self, switch: NativeSwitch, *, now_ms: float) -> NativeSwitch:
        """Return a switch without the pairs that are left out; it has others."""
        aside = self._of(switch, now_ms)
        return replace(switch, pairs=tuple(p for p in switch.pairs if p not in aside))

    def learn(self, switch: NativeSwitch, said: str, *, now_ms: float) -> tuple[str, ...]:
        """Take in that a request for a switch was refused for good, in these words.

        Args:
            switch: With all its pairs.
            said: Reply of the exchange.
            now_ms: On the local monotonic clock.

        Returns:
            The pairs that are to be left out for it; nothing if that cannot help.
        """
        aside = self._of(switch, now_ms)
        words = set(WORD.findall(said.casefold()))
        at_fault = tuple(p for p in switch.pairs if p not in aside and p.casefold() in words)
        for_ms = ASIDE_MS if switch.timed else STOP_MS
        aside |= dict.fromkeys(at_fault, now_ms + for_ms)
        if not at_fault or len(aside) > ASIDE_MAX or len(aside) >= len(set(switch.pairs)):
            return ()
        self._aside = {
            known: pairs for known, pairs in self._aside.items() if max(pairs.values()) > now_ms
        }
        self._aside[switch.id, switch.epoch] = aside
        return at_fault

    def _of(self, switch: NativeSwitch, now_ms: float) -> dict[str, float]:
        known = self._aside.get((switch.id, switch.epoch), {})
        return {pair: until for pair, until in known.items() if until > now_ms}
