"""Rate limits and pauses of accounts, as workers show them to who has no API keys.

Each worker records the limits of its accounts, with what all workers have used of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.model.constants import PRESENCE_MS
from worker.model.limits import Budget
from worker.store.connection import Store, unavailable
from worker.store.reads import Reads
from worker.store.steps import Steps, run


@dataclass(frozen=True, slots=True)
class Used:
    """One shared rate limit now.

    Attributes:
        owner: Alias of the account, or the address, that the limit belongs to.
        used: Requests counted in the window.
    """

    exchange: str
    limit: str
    owner: str
    max_requests: int
    window_ms: int
    used: int


@dataclass(frozen=True, slots=True)
class Ban:
    """An exchange that refuses every request of an owner, and until when in Unix ms."""

    exchange: str
    owner: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing is sent for an account.

    Attributes:
        refused: What of its API key the exchange refuses; empty for nothing.
        until_ms: Nothing is sent before, as the exchange asked, Unix ms; 0 for no pause.
    """

    refused: str = ""
    until_ms: int = 0


def showing_budgets(digest: str, budgets: Iterable[Budget], *, keep_ms: int) -> Steps[None]:
    """Record the limits of a worker's accounts, with what is used of them, under their digest."""
    rows = [
        part
        for it in budgets
        for rule in (it.rule,)
        for part in (
            it.exchange,
            it.limit,
            it.owner,
            rule.key,
            rule.max_requests,
            rule.window_ms,
            int(rule.ban),
        )
    ]
    yield run("show_budgets", digest, keep_ms, *rows)


def read_budgets(store: Store, now_ms: int) -> tuple[list[Used], list[Ban]]:
    """Return the limits of the accounts of all live workers, and the bans that last.

    Nothing, where this user may not read them.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    first = Reads(store)
    first.ask("zrangebyscore", "serving", now_ms - PRESENCE_MS, "+inf", maybe=True)
    shown = Reads(store)
    for digest in first.answers()[0] or ():
        shown.ask("get", f"budgets:{digest}", maybe=True)
    rows: dict[str, list[Any]] = {}
    for text in shown.answers():
        rows |= {row[3]: row for row in (json.loads(text) if text else ())}
    used, bans = [], []
    for exchange, limit, owner, _, max_requests, window_ms, ban, now in rows.values():
        if ban == "0":
            used.append(Used(exchange, limit, owner, int(max_requests), int(window_ms), int(now)))
        elif now > now_ms:
            bans.append(Ban(exchange, owner, int(now)))
    used.sort(key=lambda it: (it.exchange, it.owner, it.limit))
    return used, sorted(bans, key=lambda it: (it.exchange, it.owner))


def read_pauses(store: Store, lanes: Sequence[str], now_ms: int) -> list[Pause]:
    """Return why nothing is sent for accounts, in the order of their lanes' names.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    with unavailable():
        pipe = store.client.pipeline(transaction=False)
        for lane in lanes:
            pipe.hmget(store.key(f"lane:{lane}"), ["refused", "not_before"])
        rows = pipe.execute(raise_on_error=False)
    found = []
    for row in rows:
        refused, until = ("", 0) if isinstance(row, Exception) else row
        until_ms = int(float(until or 0))
        found.append(Pause(refused or "", until_ms if until_ms > now_ms else 0))
    return found
