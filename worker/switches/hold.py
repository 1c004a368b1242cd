"""What a keeper has in hand while it brings one account's timers in line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from worker.gateway.account import AccountSession
from worker.model.constants import LAG_SHARE
from worker.model.outcomes import Answer, Unproven
from worker.model.switches import NativeSwitch
from worker.switches.plan import Sync

Members = tuple[tuple[str, int], ...]
Part = tuple[Members, bool, tuple[str, ...]]
"""The switches and their epochs, whether it stops the timer, the pairs."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A lane in hand.

    Attributes:
        known: Its switches, by id.
        short: Those of them that are asked for without a pair that was refused.
        parts: Those of long lists of pairs that are done, here or in the turn
            before, and when their timers fire (0: stopped).
        unreachable: Why no request can be sent now; None if the exchange was reached.
        fires: When the timers fire that the parts of a list of pairs have set, by
            the switches they are for.
    """

    lane: AccountSession
    name: str
    holder: str
    known: Mapping[str, NativeSwitch]
    short: Collection[str]
    parts: dict[Part, int]
    unreachable: Unproven | None = None
    fires: dict[Members, list[int]] = field(default_factory=lambda: defaultdict(list))

    def stands(self, sync: Sync) -> bool:
        """Whether this part of a long list is done, and its timer still near the deadline."""
        fires_ms = self.parts.get((sync.members, sync.stop, sync.pairs))
        if fires_ms is None or sync.last:
            return False
        if not sync.stop:
            for switch_id, _ in sync.members:
                switch = self.known[switch_id]
                if not 0 <= switch.deadline_ms - fires_ms < switch.timeout_ms / LAG_SHARE:
                    return False
            self.fires[sync.members].append(fires_ms)
        return True


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one request.

    Attributes:
        answer: None if it was not sent.
        left_ms: What the timer was set to.
        at: When it left, on the local monotonic clock.
        took_ms: From then to the end of the call.
    """

    answer: Answer | None
    left_ms: int = 0
    at: float = 0.0
    took_ms: float = 0.0
