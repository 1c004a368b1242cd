"""Strategies: they arm, beat, are replaced, disarm, and die at random moments."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.history import Said, SwitchCall
from tests.chaos.stage import Stage
from tests.support.world import KEYS
from worker import Producer, StoreUnavailable, Switch, SwitchError, clock
from worker.errors import SwitchClearing, SwitchDisarmed, SwitchReplaced, SwitchTripped
from worker.exchanges import EXCHANGES
from worker.policy.phases import holds_timers

BEATS = 0.35
"""Part of the timeout from beat to beat."""
AGAIN_MS = 100
"""From a beat without an answer to the next try."""
CLEAR_WAIT_MS = 1_000
"""How long one that arms waits for the trip of a former life."""
ENDS = ("die", "disarm", "replaced", "restarted")
WEIGHTS = (55, 15, 15, 15)
LIVES = (0.5, 3.0)
"""How long a strategy lives, in its timeouts."""
ZOMBIE = 3.0
"""How long one that was replaced keeps beating, in its timeouts."""
_count = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Character:
    """What strategies of an account are like: the shortest and longest timeout, ms."""

    account: str
    timeout_ms: tuple[int, int]


class Holder:
    """One holder of a switch: calls it, and records the answers."""

    def __init__(
        self, stage: Stage, producer: Producer, account: str, pair: str, *, alias: str = ""
    ) -> None:
        self._recorder = stage.recorder
        self.producer = producer
        self._account = account
        self._alias = alias or account
        self._pair = pair
        self._switch: Switch | None = None
        self._timeout_ms = 0
        self.name = f"h{next(_count)}"

    def arm(self, timeout_ms: int, order_ids: tuple[str, ...] = ()) -> Said:
        """Arm the pair, or these orders alone; return the answer."""
        self._timeout_ms = timeout_ms

        def arm() -> None:
            pairs = () if order_ids else (self._pair,)
            self._switch = self.producer.arm(
                self._alias,
                pairs=pairs,
                order_ids=order_ids,
                timeout_ms=timeout_ms,
                clear_wait_ms=CLEAR_WAIT_MS,
            )

        return self._tell("arm", arm)

    @property
    def switch_id(self) -> str:
        """The id of its switch, once it has armed it."""
        return self._switch.id if self._switch else ""

    def beat(self) -> Said:
        """Beat once; return the answer."""
        assert self._switch is not None
        return self._tell("beat", self._switch.beat)

    def track(self, order_id: str) -> Said:
        """Add an order to the scope; return the answer."""
        switch = self._switch
        assert switch is not None
        return self._tell("track", lambda: switch.track(order_id))

    def disarm(self) -> Said:
        """Disarm; return the answer."""
        assert self._switch is not None
        return self._tell("disarm", self._switch.disarm)

    def _tell(self, kind: str, call: Callable[[], object]) -> Said:
        sent_ms = clock.now_ms()
        said: Said = "ok"
        try:
            call()
        except StoreUnavailable:
            said = "maybe"
        except SwitchTripped:
            said = "tripped"
        except SwitchReplaced:
            said = "replaced"
        except SwitchDisarmed:
            said = "disarmed"
        except SwitchClearing:
            said = "refused"
        except SwitchError:
            said = "unknown"
        self._recorder.switch(
            SwitchCall(
                kind,  # type: ignore[arg-type]  # one of them
                self._account,
                self._pair,
                self.name,
                self._timeout_ms,
                sent_ms,
                clock.now_ms(),
                said,
                self.switch_id,
                self._switch.held if self._switch and kind == "arm" and said == "ok" else "",
            )
        )
        return said


class Strategist(threading.Thread):
    """Runs one strategy after another on an account, until stopped."""

    def __init__(
        self, stage: Stage, seed: str, character: Character, *, stop: threading.Event
    ) -> None:
        super().__init__(name=f"strategist {seed}", daemon=True)
        self._stage = stage
        self._name = seed.replace(" ", "")
        self._rng = random.Random(f"strategist {seed}")
        self._character = character
        self._stop_event = stop
        self._producer = stage.producer()
        self._native = holds_timers(EXCHANGES[KEYS[character.account][0]])

    def run(self) -> None:
        """Live, and die, repeatedly."""
        for n in itertools.count():
            if self._stop_event.is_set():
                return
            self.live(f"s{self._name}x{n}_idr")

    def live(self, pair: str) -> None:
        """Be one strategy, from arming to whatever end."""
        rng = self._rng
        account = self._character.account
        timeout_ms = rng.randint(*self._character.timeout_ms)
        only: tuple[str, ...] = ()
        holder = Holder(self._stage, self._producer, account, pair)
        if not self._native and rng.random() < 0.3:
            only = tuple(self._stage.world.place(account, 2, pair=pair))
            if holder.arm(timeout_ms, only) != "ok":
                return  # it dies; what it may have armed comes off in time
            self._track(holder, pair)
        elif self._arm(holder, timeout_ms, only):
            # Only now: what a former arming that was given up trips is none of these.
            self._stage.world.place(account, 2, pair=pair)
        else:
            return
        end = rng.choices(ENDS, WEIGHTS)[0]
        until = clock.monotonic_ms() + timeout_ms * rng.uniform(*LIVES)
        alive = self._beat(holder, timeout_ms, until)
        if alive and end == "disarm":
            self._disarm(holder)
        elif alive and end == "replaced":
            self._replace(holder, pair, timeout_ms, only)
        elif alive and end == "restarted" and not only:
            self._restart(pair, timeout_ms)

    def _replace(self, holder: Holder, pair: str, timeout_ms: int, only: tuple[str, ...]) -> None:
        """Be started a second time, and die, while the first keeps beating."""
        heir = Holder(self._stage, self._producer, self._character.account, pair)
        if self._arm(heir, timeout_ms, only):
            until = clock.monotonic_ms() + timeout_ms * ZOMBIE
            self._beat(holder, timeout_ms, until)

    def _restart(self, pair: str, timeout_ms: int) -> None:
        """Be silent until the switch has tripped, come back, and trade on in the same pair."""
        clock.wait_ms(self._stop_event, timeout_ms * self._rng.uniform(1, 1.5))
        heir = Holder(self._stage, self._producer, self._character.account, pair)
        if self._arm(heir, timeout_ms, ()):
            self._stage.world.place(self._character.account, 2, pair=pair)
            self._beat(heir, timeout_ms, clock.monotonic_ms() + 2 * timeout_ms)

    def _arm(self, holder: Holder, timeout_ms: int, only: tuple[str, ...]) -> bool:
        while not self._stop_event.is_set():
            if holder.arm(timeout_ms, only) == "ok":
                return True
            clock.wait_ms(self._stop_event, AGAIN_MS)
        return False

    def _track(self, holder: Holder, pair: str) -> None:
        """Place another order and have it tracked; fill it if that failed."""
        account = self._character.account
        (order_id,) = self._stage.world.place(account, 1, pair=pair)
        while (said := holder.track(order_id)) == "maybe":
            if clock.wait_ms(self._stop_event, AGAIN_MS):
                break
        if said != "ok":
            self._stage.sim.fill(KEYS[account][0], order_id)

    def _beat(self, holder: Holder, timeout_ms: int, until: float) -> bool:
        """Beat until then; return whether the switch still is ours."""
        pause_ms = BEATS * timeout_ms * self._rng.uniform(0.6, 1)
        while clock.monotonic_ms() < until and not self._stop_event.is_set():
            clock.wait_ms(self._stop_event, min(pause_ms, until - clock.monotonic_ms()))
            match holder.beat():
                case "ok":
                    pause_ms = BEATS * timeout_ms * self._rng.uniform(0.6, 1)
                case "maybe":
                    pause_ms = AGAIN_MS
                case _:
                    return False
        return True

    def _disarm(self, holder: Holder) -> None:
        while holder.disarm() == "maybe":
            if clock.wait_ms(self._stop_event, AGAIN_MS):
                return
