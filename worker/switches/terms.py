"""How the countdown requests of accounts go: what limits them, and the timers they can keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from worker.config.settings import Switches
from worker.exchanges.timer import Reach, Timer
from worker.gateway.account import AccountSession
from worker.model.commands import SetCountdown
from worker.model.limits import Rule
from worker.model.names import lane_of
from worker.policy.phases import holds_timers
from worker.policy.timers import Terms, budget_of, shortest_native_ms, terms_for


def terms_of(session: AccountSession) -> Terms:
    """Return how an account's countdown requests go."""
    steps = [rule.window_ms * rule.weight // rule.max_requests for rule in _rules_of(session)]
    step_ms = max(steps, default=0)
    return terms_for(timer_of(session), nonce=session.uses_nonce, step_ms=step_ms)


def _rules_of(session: AccountSession) -> list[Rule]:
    """Return the limits on an account's countdown requests."""
    return [rule for rule in session.rules_for(SetCountdown((), 0)) if not rule.ban]


def max_pairs_of(session: AccountSession, settings: Switches) -> int:
    """Return the most pairs that one countdown request may name."""
    return min(settings.max_pairs, timer_of(session).pairs_max)


def timer_of(session: AccountSession) -> Timer:
    """Return the timer of an account's exchange, which has one."""
    return session.exchange.capabilities.timer or Timer()


def has_list(session: AccountSession) -> bool:
    """Return whether the account has one timer, with a list of pairs."""
    return timer_of(session).reach is Reach.LIST


def doubt_ms(session: AccountSession) -> int:
    """Return how much earlier a timer is set, as the exchange's clock may be behind."""
    return session.skew.doubt_ms if timer_of(session).absolute else 0


def registered_terms(
    sessions: Iterable[AccountSession], settings: Switches
) -> list[tuple[str, int, int, int, int, int, int]]:
    """Return what an arm must know of the accounts whose exchange keeps timers.

    Args:
        sessions: Of all accounts of the worker.
        settings: Bounds on countdown requests.

    Returns:
        For each account its lane, the shortest timeout of a native timer in ms, the
        requests in 1,000 s that may renew timers (0: no bound), the most pairs in one,
        how long the exchange takes to cancel orders once a timer fires, whether it has only
        one timer for the account, with a list of pairs (1, else 0), and how often it fires in
        a day (0: no bound).
    """
    shares: Counter[str] = Counter()
    native = [session for session in sessions if holds_timers(session.exchange)]
    for session in native:
        shares.update(rule.key for rule in _rules_of(session))
    terms = []
    for session in native:
        budgets = [
            budget_of(rule.max_requests // rule.weight, rule.window_ms, accounts=shares[rule.key])
            for rule in _rules_of(session)
        ]
        lane = lane_of(session.exchange.name, session.alias)
        shortest_ms = shortest_native_ms(terms_of(session), settings.transit_ms)
        max_pairs = max_pairs_of(session, settings)
        budget, timer = min(budgets, default=0), timer_of(session)
        one_list = int(has_list(session))
        bounds = (timer.fires_within_ms, one_list, timer.firings_max)
        terms.append((lane, shortest_ms, budget, max_pairs, *bounds))
    return terms
