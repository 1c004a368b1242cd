"""The composition root: from settings to the parts that do the work."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence

from worker.config.accounts import Account
from worker.config.settings import Settings
from worker.direct.limiter import MemoryLimiter
from worker.direct.nonces import MemoryNonces
from worker.direct.runner import Direct
from worker.direct.switches import MemorySwitches
from worker.direct.tokens import MemoryTokens
from worker.dispatch.attempt import AttemptRunner
from worker.dispatch.dispatcher import Dispatcher
from worker.errors import SettingsError
from worker.exchanges.base import Access, Limit
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.egress import ANY_IP, at_default_address
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Ports
from worker.gateway.sender import Sender
from worker.model.limits import Rule
from worker.store.address import parse
from worker.store.connection import Store, connect
from worker.store.due_poll import DuePoll
from worker.store.holds import Holds
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces, key_id
from worker.store.switches import Switches
from worker.store.tokens import Tokens
from worker.switches.reconciler import Reconciler
from worker.telemetry import metrics
from worker.telemetry.health.reading import Budget, Watch
from worker.telemetry.health.serving import Monitor, Role, ports_of
from worker.telemetry.liveness import Liveness
from worker.telemetry.logs import Mask
from worker.telemetry.redis_durability import RedisDurability


def build_store(settings: Settings, *, promising: bool = False) -> Store:
    """Return the Redis of these settings.

    Args:
        settings: Where it is.
        promising: For one who is told that something is accepted, and so waits
            for the replicas that the settings ask for.
    """
    client = connect(settings.redis_address, timeout_ms=settings.redis_timeout_ms)
    wanted = settings.redis_wait_replicas if promising else 0
    return Store(client, prefix=settings.key_prefix, replicas=(wanted, settings.redis_wait_ms))


def build_lanes(settings: Settings, *, only: str = "") -> dict[str, AccountSession]:
    """Return the accounts, or `only` one, with their secrets read.

    Raises:
        SettingsError: A secret is missing, two aliases have one key, or accounts share a
            budget that they see differently.
    """
    lanes: dict[str, AccountSession] = {}
    known: dict[str, str] = {}
    budgets: dict[str, tuple[Rule, str]] = {}
    for alias, account in settings.accounts.items():
        if only and alias != only:
            continue
        access = settings.access(alias)
        identity = _identity(account, access)
        other = known.setdefault(identity, alias)
        if other != alias:
            raise SettingsError(
                f"accounts.{alias}.api_key is that of accounts.{other}: one account has one "
                "alias, since its orders, timers, limits and nonces are the same; remove one of "
                "the two",
            )
        limits = [
            (limit, _rule(limit, account, access.api_key)) for limit in account.limits_in_force
        ]
        for limit, rule in limits:
            budget, first = budgets.setdefault(rule.key, (rule, alias))
            if budget != rule:
                raise SettingsError(
                    f"accounts.{alias}.limits.{limit.name} differs from that of accounts.{first}, "
                    "which shares its budget; give both the same, or each an egress_ip of its own",
                )
        lanes[alias] = AccountSession(
            alias=alias,
            exchange=account.adapter,
            access=access,
            egress_ip=account.egress_ip,
            uses_nonce=account.uses_nonce,
            identity=identity,
            bulk_max=account.adapter.capabilities.bulk_max if account.bulk else 1,
            mask=Mask((access.api_key, access.api_secret, access.memo)),
            rules=tuple((command, rule) for limit, rule in limits for command in limit.commands),
        )
    return lanes


def build_dispatcher(settings: Settings) -> Dispatcher:
    """Return the dispatcher of one worker process.

    Raises:
        SettingsError: No account is set up, or a secret is missing.
    """
    own = build_lanes(settings)
    if not own:
        raise SettingsError("no account is set up; add [accounts.NAME] to worker.toml")
    accounts = AccountSessions({alias: at_default_address(each) for alias, each in own.items()})
    store, transport = build_store(settings), Transport(settings.http)
    limiter, nonces, switches = Limiter(store), Nonces(store), Switches(store)
    attempts = AttemptRunner(
        settings=settings,
        lanes=accounts,
        shared=Ports(limiter, nonces, Tokens(store), switches),
        transport=transport,
        rng=random.Random(),  # noqa: S311  jitter
    )
    reconciler = Reconciler(
        settings=settings,
        lanes=accounts,
        switches=switches,
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
        durability=RedisDurability(store),
    )


class _LazyLanes(dict[str, AccountSession]):
    """Accounts whose secrets are read when they are first needed.

    In an emergency the secrets of other accounts may be missing.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, alias: str) -> AccountSession:
        self._settings.account(alias)
        return self.setdefault(alias, build_lanes(self._settings, only=alias)[alias])


def build_direct(settings: Settings) -> Direct:
    """Return what sends without the workers."""
    store = build_store(settings)
    return Direct(
        settings,
        lanes=AccountSessions(_LazyLanes(settings)),
        common=Ports(Limiter(store), Nonces(store), Tokens(store), Switches(store)),
        own=Ports(MemoryLimiter(), MemoryNonces(), MemoryTokens(), MemorySwitches()),
        look=Ledger(store).now_ms,
        holds=Holds(store),
        transport=Transport(settings.http),
    )


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret that these settings hold, for masking."""
    found: list[str | None] = [settings.sentry_address]
    for account in settings.accounts.values():
        found += [account.secret(name) for name in ("api_key", "api_secret", "memo")]
    found += parse(settings.redis_address).secrets
    return [secret for secret in found if secret]


def _identity(account: Account, access: Access) -> str:
    """Name what an account is, whatever its alias: exchange, site and key, without the key."""
    parts = json.dumps([account.exchange, account.site, access.api_key])
    return hashlib.sha256(b"account:" + parts.encode()).hexdigest()[:24]


def _rule(limit: Limit, account: Account, api_key: str) -> Rule:
    owner = key_id(api_key) if limit.per == "account" else account.egress_ip or ANY_IP
    return Rule(
        key=f"{account.exchange}:{limit.name}:{owner}",
        max_requests=limit.max_requests,
        window_ms=limit.window_ms,
        paced=limit.paced,
        proven=limit.proven,
    )


def digest_of(lanes: dict[str, AccountSession]) -> str:
    """Return the name under which workers with these accounts are known."""
    served = sorted(
        (lane.exchange.name, lane.alias, lane.uses_nonce, lane.identity) for lane in lanes.values()
    )
    return hashlib.sha256(json.dumps(served).encode()).hexdigest()[:16]


def budgets_of(lanes: Iterable[AccountSession]) -> list[Budget]:
    """Return the rate limits of these accounts, each once."""
    budgets: dict[str, Budget] = {}
    for lane in lanes:
        mine = key_id(lane.access.api_key)
        for _, rule in lane.rules:
            exchange, limit, owner = rule.key.split(":", 2)
            shown = lane.alias if owner == mine else owner
            budgets.setdefault(rule.key, Budget(exchange, limit, shown, rule))
    return list(budgets.values())


def serve_health(settings: Settings, liveness: Liveness, role: Role) -> Monitor:
    """Serve what a process shows of itself where the settings say.

    Never keeps the process from its work: without a port there is a warning.
    """
    budgets: Sequence[Budget] = ()
    if role == "worker":
        lanes = build_lanes(settings).values()
        budgets = budgets_of(lanes)
        metrics.prepare(
            (lane.exchange.name, lane.alias, lane.uses_nonce, [rule.key for _, rule in lane.rules])
            for lane in lanes
        )
    monitor = Monitor(role, liveness, Watch(build_store(settings), budgets))
    ports = ports_of(settings, role)
    if ports:
        monitor.serve(settings.metrics.host, ports, names=settings.metrics.names)
    return monitor
