"""The rate limits of accounts, for people to see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from worker.gateway.account import AccountSession
from worker.model.limits import Budget
from worker.model.names import exchange_name
from worker.store.nonces import key_id


def budgets_of(sessions: Iterable[AccountSession], *, bans: bool = False) -> list[Budget]:
    """Return the rate limits of these accounts, each once.

    Args:
        sessions: The accounts.
        bans: Return their rules against bans instead.
    """
    budgets: dict[str, Budget] = {}
    for session in sessions:
        own = key_id(session.access.api_key)
        for _, rule in session.rules:
            if rule.ban is not bans:
                continue
            written, limit, owner = rule.key.split(":", 2)
            shown = session.alias if owner == own else owner
            budgets.setdefault(
                rule.key, Budget(exchange_name(written), limit, shown, replace(rule, weight=1))
            )
    return list(budgets.values())
