"""Rate limits: what is asked for, and what is granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from worker.model.constants import AHEAD_MS

DIGITS_MAX = 15


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip() if name else ""
    plain = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
    return int(text) if plain else None


@dataclass(frozen=True, slots=True)
class Counter:
    """Where an exchange's replies say what is left of a limit.

    Attributes:
        header: Its name, in lower case.
        used_of: The header says how many of so many requests are used; 0 if it says how many
            are left.
        resets: Header that says when they are given back; empty for none.
        unit_ms: What `resets` counts in.
        absolute: `resets` is Unix time, not a wait.
    """

    header: str
    used_of: int = 0
    resets: str = ""
    unit_ms: int = 1
    absolute: bool = False

    def left(self, headers: Mapping[str, str], most: int) -> int | None:
        """Return how many requests are left; None if the reply does not say.

        Args:
            headers: Of the reply, names in lower case.
            most: The limit as the account's settings have it, which may be above `used_of`.
        """
        told = _number(headers, self.header)
        if told is None or not self.used_of:
            return told
        return max(0, max(self.used_of, most) - told)

    def frees_ms(self, headers: Mapping[str, str], *, now_ms: int, window_ms: int) -> int:
        """Return how long what others used counts: until the reset, at most a window."""
        told = _number(headers, self.resets)
        if told is None:
            return window_ms
        wait_ms = told * self.unit_ms - (now_ms if self.absolute else 0)
        return min(window_ms, max(1, wait_ms))


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `max_requests` in any `window_ms` under one key; see `exchanges.base.Limit`.

    Attributes:
        weight: How many of them the request counts for.
        ban: It counts nothing, and holds off every request while the exchange refuses all.
        stops: It counts only requests about a stop order.
        counter: Where replies say what is left; None if they do not.
    """

    key: str
    max_requests: int
    window_ms: int
    paced: bool = False
    proven: bool = False
    weight: int = 1
    ban: bool = False
    stops: bool = False
    counter: Counter | None = None

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
class Left:
    """What a reply says is left under a rule.

    Attributes:
        requests: How many the exchange would take now.
        frees_ms: When it takes more, at the latest.
    """

    rule: Rule
    requests: int
    frees_ms: int


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

    Attributes:
        slots: What it takes, as the scripts write it; see `lib/slots.lua`.
        left: What its reply says is left.
        ahead: It was taken ahead, or with others that were; see `store.slot_pools`.
    """

    wait_ms: int
    member: str = ""
    keys: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    ahead: bool = False

    def with_left(self, left: Sequence[Left]) -> Grant:
        """Return the grant with what the reply to its request says is left."""
        return replace(self, left=tuple(left)) if left else self

    def reported_slots(self, age_ms: float = 0.0) -> tuple[str, ...]:
        """Return the slots, with what the reply says is left if that is not out of date.

        Args:
            age_ms: How long ago the reply came.
        """
        if not self.left or age_ms > AHEAD_MS:
            return self.slots
        more = {}
        for each in self.left:
            rule, frees_ms = each.rule, max(1, round(each.frees_ms - age_ms))
            figures = (rule.max_requests, rule.window_ms, each.requests, frees_ms)
            more[rule.key] = "|".join(map(str, figures))
        slots = []
        for slot in self.slots:
            key, _, weight = slot.partition("|")
            slots.append(f"{key}|{weight or 1}|{more[key]}" if key in more else slot)
        return tuple(slots)

    @classmethod
    def of(cls, rules: Sequence[Rule], *, member: str = "", wait_ms: int = 0) -> Grant:
        """Return a grant under these rules, or the wait for one."""
        keys = tuple(rule.key for rule in rules)
        slots = tuple(rule.slots for rule in rules if not rule.ban)
        return cls(wait_ms, member, keys, slots)
