"""What a worker knows while it brings one account's timers in line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from worker.gateway.account import AccountSession
from worker.model.constants import LAG_SHARE
from worker.model.outcomes import Unproven
from worker.model.switches import NativeSwitch
from worker.switches.plan import Sync

Members = tuple[tuple[str, int], ...]
Part = tuple[Members, bool, tuple[str, ...]]
"""The switches and their epochs, whether it stops the timer, the pairs."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One turn with a lane.

    Attributes:
        session: Of the account.
        known: Its switches, by id.
        short: Switches that are requested without a pair that was refused.
        parts: Parts of long lists of pairs that were sent in this turn or the one before,
            and when their timers fire (0: stopped).
        unreachable: Why no request can be sent; None if the exchange was reached.
        brief: Switches whose deadline is too near for the exchange's timer to be set.
        fires: When the timers of the parts of a list fire, by the list's switches.
    """

    session: AccountSession
    lane: str
    holder: str
    known: Mapping[str, NativeSwitch]
    short: Collection[str]
    parts: dict[Part, int]
    unreachable: Unproven | None = None
    brief: tuple[str, ...] = ()
    fires: dict[Members, list[int]] = field(default_factory=lambda: defaultdict(list))

    def stands(self, sync: Sync) -> bool:
        """Return whether this part of a long list was sent, and its timer still fires in time."""
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
