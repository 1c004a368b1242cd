"""Rate limits: what is asked for, and what is granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `max_requests` in any `window_ms` under one key; see `exchanges.base.Limit`.

    Attributes:
        weight: How many of them the request counts for.
        ban: It counts nothing, and holds off every request while the exchange refuses all.
        stops: It counts only requests about a stop order.
    """

    key: str
    max_requests: int
    window_ms: int
    paced: bool = False
    proven: bool = False
    weight: int = 1
    ban: bool = False
    stops: bool = False

    @property
    def kind(self) -> str:
        """The word for it in the scripts."""
        if self.ban:
            return "ban"
        return "paced" if self.paced else "proven" if self.proven else ""

    @property
    def slots(self) -> str:
        """What the scripts call the slots that the request takes; see `lib/slots.lua`."""
        return self.key if self.weight == 1 else f"{self.key}|{self.weight}"


@dataclass(frozen=True, slots=True)
class Budget:
    """One shared rate limit.

    Attributes:
        owner: Alias of the account, or the address, that the limit belongs to.
    """

    exchange: str
    limit: str
    owner: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request, if `wait_ms` is 0; else how long to wait.

    The caller sends at once, and reports when the request has arrived.
    """

    wait_ms: int
    member: str = ""
    keys: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()

    @classmethod
    def of(cls, rules: Sequence[Rule], *, member: str = "", wait_ms: int = 0) -> Grant:
        """Return a grant under these rules, or the wait for one."""
        keys = tuple(rule.key for rule in rules)
        slots = tuple(rule.slots for rule in rules if not rule.ban)
        return cls(wait_ms, member, keys, slots)
