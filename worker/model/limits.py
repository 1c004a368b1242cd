"""Rate limits: what is asked for, and what is granted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `max_requests` in any `window_ms` under one key; see `exchanges.base.Limit`."""

    key: str
    max_requests: int
    window_ms: int
    paced: bool = False
    proven: bool = False

    @property
    def kind(self) -> str:
        """The word for it in the scripts."""
        return "paced" if self.paced else "proven" if self.proven else ""


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
