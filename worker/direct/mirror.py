"""Use the workers' shared limits, nonces and tokens, and record the use locally.

If Redis stops answering, this process continues with the local record of its own use.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from worker.exchanges.base import Access
from worker.gateway.ports import Ports, Sequences, Slots, TokenBox
from worker.model.limits import Grant, Rule
from worker.model.tokens import SharedToken


def mirrored(common: Ports, own: Ports) -> Ports:
    """Return `common`, with everything taken from it recorded in `own`."""
    return Ports(
        limiter=_Slots(common.limiter, own.limiter),
        nonces=_Sequences(common.nonces, own.nonces),
        tokens=_Tokens(common.tokens, own.tokens),
        switches=common.switches,
        pairs=own.pairs,
    )


class _Slots:
    """Grants a slot if both limiters grant it."""

    def __init__(self, common: Slots, own: Slots) -> None:
        self._common = common
        self._own = own
        self._lock = threading.Lock()
        self._noted: dict[str, Grant] = {}
        """By the member of the common grant, the local grant."""

    def reserve(self, rules: Sequence[Rule], *, flight_ms: int, urgent: bool = True) -> Grant:
        mine = self._own.reserve(rules, flight_ms=flight_ms, urgent=urgent)
        if mine.wait_ms:
            return mine
        granted = Grant(1)
        try:
            granted = self._common.reserve(rules, flight_ms=flight_ms, urgent=urgent)
        finally:
            if granted.wait_ms:
                self._own.landed(mine, sent=False)
        with self._lock:
            self._noted[granted.member] = mine
        return granted

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        with self._lock:
            mine = self._noted.pop(grant.member, None)
        if mine is not None:
            self._own.landed(mine, sent=sent)
        self._common.landed(grant, sent=sent)

    def ban(self, rules: Sequence[Rule], ban_ms: int) -> None:
        self._own.ban(rules, ban_ms)
        self._common.ban(rules, ban_ms)


class _Sequences:
    """Keeps the local sequence above the common one."""

    def __init__(self, common: Sequences, own: Sequences) -> None:
        self._common = common
        self._own = own

    def allocate(self, api_key: str, offered: str = "") -> int:
        nonce = self._common.allocate(api_key, offered)
        self._own.raise_above(api_key, nonce)
        return nonce

    def raise_above(self, api_key: str, floor: int) -> None:
        self._own.raise_above(api_key, floor)
        self._common.raise_above(api_key, floor)


class _Tokens:
    """Caches the common token locally."""

    def __init__(self, common: TokenBox, own: TokenBox) -> None:
        self._common = common
        self._own = own

    def get(self, account: str, access: Access, *, now_ms: int) -> SharedToken | None:
        shared = self._common.get(account, access, now_ms=now_ms)
        if shared is not None:
            until_ms = shared.expires_ms
            self._own.put(account, access, shared.token, until_ms=until_ms, now_ms=now_ms)
        return shared

    def begin_refresh(self, account: str, *, lease_ms: int) -> bool:
        return self._common.begin_refresh(account, lease_ms=lease_ms)

    def end_refresh(self, account: str) -> None:
        self._common.end_refresh(account)

    def put(
        self, account: str, access: Access, token: str, *, until_ms: int, now_ms: int
    ) -> SharedToken:
        self._own.put(account, access, token, until_ms=until_ms, now_ms=now_ms)
        return self._common.put(account, access, token, until_ms=until_ms, now_ms=now_ms)

    def drop(self, account: str, shared: SharedToken) -> None:
        self._common.drop(account, shared)
