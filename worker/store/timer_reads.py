"""Turns to read the exchanges' timers, and what follows from a reading."""

from __future__ import annotations

from typing import Any

from worker.model.names import switch_lane
from worker.model.timer_reads import TimerBelief
from worker.store.connection import Store, unavailable


class TimerReads:
    """The timers as one Redis has them.

    Every method raises `StoreUnavailable` when Redis does not answer; calling again is safe.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def turn(self, lane: str, *, every_ms: int, always: bool) -> TimerBelief | None:
        """Take the turn to read an account's timer.

        Args:
            lane: Of the account's jobs.
            every_ms: From one reading to the next, of all workers.
            always: Whether to read it also when no switch has a timer.

        Returns:
            What the timer was set to; None if it is not to be read now.
        """
        found = self._store.run("read_turn", lane, every_ms, int(always))
        if not found:
            return None
        now_ms, fires_ms, way_ms, pairs, *rows = found
        members = [
            (str(rows[i]), int(rows[i + 1]), int(rows[i + 2])) for i in range(0, len(rows), 3)
        ]
        named = tuple(pair for pair in str(pairs).split(",") if pair)
        return TimerBelief(int(now_ms), int(fires_ms), int(way_ms), named, tuple(members))

    def doubt(self, lane: str, belief: TimerBelief, *, lasts_ms: int) -> bool:
        """Have a timer set again that is not as it was set.

        Args:
            lane: Of the account's jobs.
            belief: What it was compared with.
            lasts_ms: When it fires at the latest, in Redis time; 0 if there is none.

        Returns:
            False if a switch has been moved since: then nothing is known.
        """
        flat = [part for member in belief.members for part in member]
        return bool(self._store.run("doubt_timer", lane, lasts_ms, *flat) == 1)

    def unused(self, lane: str) -> str:
        """Return why the exchange's timer of an account is not used, as in `HeldWhy`; or ''."""
        client, key = self._store.client, self._store.key
        now_ms = self._store.shared_ms()
        with unavailable():
            stands: Any = client.hget(key(f"lane:{lane}"), "canon")
            found: Any = client.hmget(
                key(f"lane:{switch_lane(stands or lane)}"), ["unused_why", "unused_until"]
            )
        why, until_ms = found
        return str(why) if why and int(until_ms or 0) > now_ms else ""

    def judge(self, lane: str, why: str, *, keep_ms: int) -> int:
        """Record whether the exchange keeps a timer for an account.

        Args:
            lane: Of the account's jobs.
            why: Why it keeps none; empty if it keeps one.
            keep_ms: For how long that is believed.

        Returns:
            How many switches workers hold from now on.
        """
        return int(self._store.run("judge_timer", lane, why, keep_ms))
