"""The composition root: build the program's parts from the settings."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace

from worker.config.accounts import Account
from worker.config.secret_files import SECRETS
from worker.config.secret_values import parts_of
from worker.config.settings import Settings
from worker.direct.limiter import MemoryLimiter
from worker.direct.nonces import MemoryNonces
from worker.direct.pair_lists import MemoryPairLists
from worker.direct.runner import Direct
from worker.direct.switches import MemorySwitches
from worker.direct.tokens import MemoryTokens
from worker.dispatch.attempt import AttemptRunner
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.pair_refresh import PairRefresh
from worker.errors import SettingsError
from worker.exchanges import prepare
from worker.exchanges.base import Access, Limit
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.budgets import budgets_of
from worker.gateway.egress import ANY_IP, at_default_address
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Ports
from worker.gateway.sender import Sender
from worker.model.commands import Command
from worker.model.limits import Budget, Rule
from worker.model.names import key_name
from worker.store.address import parse
from worker.store.due_poll import DuePoll
from worker.store.holds import Holds
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces, key_id
from worker.store.opening import build_store
from worker.store.pair_lists import SharedPairLists
from worker.store.slot_pools import PoolingLimiter
from worker.store.switches import Switches
from worker.store.timer_reads import TimerReads
from worker.store.tokens import Tokens
from worker.store.trips import Trips
from worker.switches.reconciler import Reconciler
from worker.switches.timer_watch import TimerWatch
from worker.telemetry import metrics
from worker.telemetry.health.reading import Watch
from worker.telemetry.health.serving import Monitor, Role, ports_of
from worker.telemetry.liveness import Liveness
from worker.telemetry.logs import Mask
from worker.telemetry.redis_durability import RedisDurability


def build_sessions(settings: Settings, *, only: str = "") -> dict[str, AccountSession]:
    """Return a session for each account, or `only` one, with its secrets read.

    Raises:
        SettingsError: A secret is missing, two aliases have one key and category, or accounts
            that share a rate limit define it differently.
    """
    sessions: dict[str, AccountSession] = {}
    known: dict[str, str] = {}
    budgets: dict[str, tuple[Rule, str]] = {}
    for alias, account in settings.accounts.items():
        if only and alias != only:
            continue
        access = settings.access(alias)
        prepare(account.adapter)
        identity = _identity(account, access)
        other = known.setdefault(identity, alias)
        if other != alias:
            raise SettingsError(
                f"accounts.{alias}.api_key is also that of accounts.{other}: use one alias for "
                "one account, as its orders, timers, limits and nonces are the same; remove one "
                "of the two",
            )
        limits = [
            (limit, _rule(limit, account, access.api_key)) for limit in account.limits_in_force
        ]
        for limit, rule in limits:
            budget, first = budgets.setdefault(rule.key, (rule, alias))
            if budget != rule:
                raise SettingsError(
                    f"accounts.{alias}.limits.{limit.name} differs from that of accounts.{first}, "
                    "which shares it; give both the same value, or each an egress_ip of its own",
                )
        bans = _ban(account, access.api_key)
        sessions[alias] = AccountSession(
            alias=alias,
            exchange=account.adapter,
            access=access,
            egress_ip=account.egress_ip,
            uses_nonce=account.uses_nonce,
            identity=identity,
            site=_site(account),
            bulk_max=account.adapter.capabilities.bulk_max if account.bulk else 1,
            mask=Mask(_secrets(account)),
            rules=_rules(limits, bans),
            whole=_rules(limits, bans, all_pairs=True),
        )
    return sessions


def build_dispatcher(settings: Settings) -> Dispatcher:
    """Return the dispatcher of one worker process.

    Raises:
        SettingsError: No account is configured, or a secret is missing.
    """
    own = build_sessions(settings)
    if not own:
        raise SettingsError("no account is configured; add [accounts.NAME] to worker.toml")
    accounts = AccountSessions({alias: at_default_address(each) for alias, each in own.items()})
    store, transport = build_store(settings), Transport(settings.http)
    limiter, nonces, switches = PoolingLimiter(store), Nonces(store), Switches(store)
    pair_lists = SharedPairLists(store)
    attempts = AttemptRunner(
        settings=settings,
        lanes=accounts,
        shared=Ports(limiter, nonces, Tokens(store), switches, pair_lists),
        transport=transport,
        rng=random.Random(),  # noqa: S311  jitter
    )
    reconciler = Reconciler(
        settings=settings,
        lanes=accounts,
        switches=switches,
        trips=Trips(store),
        limiter=limiter,
        sender=Sender(nonces, transport, settings.http),
        rng=random.Random(),  # noqa: S311  jitter
    )
    return Dispatcher(
        settings=settings,
        accounts=accounts,
        ledger=Ledger(store, digest=digest_of(own)),
        attempts=attempts,
        reconciler=reconciler,
        limiter=limiter,
        due_poll=DuePoll(store),
        pair_refresh=PairRefresh(accounts.accounts, attempts.pair_lists, pair_lists),
        timer_watch=TimerWatch(accounts.accounts, attempts.client, TimerReads(store)),
        durability=RedisDurability(store),
    )


class _LazySessions(dict[str, AccountSession]):
    """Sessions that read their secrets on first use.

    In an emergency the secrets of other accounts may be missing.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, alias: str) -> AccountSession:
        self._settings.account(alias)
        return self.setdefault(alias, build_sessions(self._settings, only=alias)[alias])


def build_direct(settings: Settings) -> Direct:
    """Return the direct sender, which needs no workers."""
    store = build_store(settings)
    return Direct(
        settings,
        sessions=AccountSessions(_LazySessions(settings)),
        common=Ports(
            Limiter(store), Nonces(store), Tokens(store), Switches(store), SharedPairLists(store)
        ),
        own=Ports(
            MemoryLimiter(), MemoryNonces(), MemoryTokens(), MemorySwitches(), MemoryPairLists()
        ),
        look=Ledger(store).now_ms,
        holds=Holds(store),
        transport=Transport(settings.http),
    )


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret that these settings hold, for masking."""
    found: list[str | None] = [settings.sentry_address]
    for account in settings.accounts.values():
        found += _secrets(account)
    found += parse(settings.redis_address).secrets
    found += settings.notify.secrets()
    return [secret for secret in found if secret]


def _secrets(account: Account) -> list[str]:
    """Return what an account has that is masked."""
    held = [account.secret(name) for name in SECRETS]
    return [part for secret in held if secret for part in parts_of(secret)]


def _identity(account: Account, access: Access) -> str:
    """Return the id of an account: a hash of exchange, site and key, not of its alias.

    One key may trade in several categories, each an account with orders of its own.
    """
    category = [account.category] if account.category else []
    parts = json.dumps([account.exchange, account.site, access.api_key, *category])
    return hashlib.sha256(b"account:" + parts.encode()).hexdigest()[:24]


def _site(account: Account) -> str:
    """Return the name of an exchange's site: its own word for it, or a hash of its URL.

    Each category has pairs of its own.
    """
    site = account.site
    if "/" in site:
        site = hashlib.sha256(site.encode()).hexdigest()[:12]
    category = f":{account.category}" if account.category else ""
    return f"{account.exchange}:{site}{category}"


def _rule(limit: Limit, account: Account, api_key: str) -> Rule:
    owner = key_id(api_key) if limit.per == "account" else account.egress_ip or ANY_IP
    return Rule(
        key=f"{key_name(account.exchange)}:{limit.name}:{owner}",
        max_requests=limit.max_requests,
        window_ms=limit.window_ms,
        paced=limit.paced,
        proven=limit.proven,
        stops=limit.stops,
        counter=limit.counter,
    )


def _rules(
    limits: Sequence[tuple[Limit, Rule]],
    bans: Sequence[tuple[type[Command], Rule]],
    *,
    all_pairs: bool = False,
) -> tuple[tuple[type[Command], Rule], ...]:
    """Return the rules by command; for commands without a pair only where those differ."""
    counted = tuple(
        (command, replace(rule, weight=limit.weight(command, all_pairs=all_pairs)))
        for limit, rule in limits
        for command in limit.commands
    )
    if all_pairs and not any(limit.weights for limit, _ in limits):
        return ()
    return counted + tuple(bans)


def _ban(account: Account, api_key: str) -> list[tuple[type[Command], Rule]]:
    """Return the rules that hold off every command during a ban by the exchange."""
    capabilities = account.adapter.capabilities
    if not capabilities.bans:
        return []
    limit = Limit("ban", (), capabilities.bans, 1, 1)
    rule = replace(_rule(limit, account, api_key), ban=True)
    return [(command, rule) for command in sorted(capabilities.commands, key=str)]


def digest_of(sessions: dict[str, AccountSession]) -> str:
    """Return the id under which workers with these accounts register."""
    served = sorted(
        (each.exchange.name, each.alias, each.uses_nonce, each.identity)
        for each in sessions.values()
    )
    return hashlib.sha256(json.dumps(served).encode()).hexdigest()[:16]


def serve_health(settings: Settings, liveness: Liveness, role: Role) -> Monitor:
    """Serve metrics and health on the configured port.

    Never raises for a port that is in use: it logs a warning and serves nothing.
    """
    budgets: Sequence[Budget] = ()
    if role == "worker":
        sessions = build_sessions(settings).values()
        budgets = budgets_of(sessions)
        metrics.prepare(
            (each.exchange.name, each.alias, each.uses_nonce, [rule.key for _, rule in each.rules])
            for each in sessions
        )
    monitor = Monitor(role, liveness, Watch(build_store(settings), budgets))
    ports = ports_of(settings, role)
    if ports:
        monitor.serve(settings.metrics.host, ports, names=settings.metrics.names)
    return monitor
