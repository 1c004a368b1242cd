"""The settings that a strategy needs, read without pydantic: it would double the import time.

Only plain, valid settings are read here. For anything else, and for every mistake,
`load_settings` reads them all, so that both accept the same and report the same.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from worker.config.client_accounts import ClientAccount, NotPlainError, read_accounts, require
from worker.config.secret_values import read_secret
from worker.config.settings_file import CONFIG_VARIABLE, config_path, read_table
from worker.errors import SettingsError
from worker.exchanges.base import Exchange, Limit

PREFIX: Final = "WORKER_"
URL: Final = "redis://127.0.0.1:6379/0"
KEY_PREFIX: Final = re.compile(r"[A-Za-z0-9:_-]{1,32}")
INTEGERS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "": {"redis_timeout_ms": 10},
        "switches": {"min_timeout_ms": 100, "max_timeout_ms": 1, "max_pairs": 1, "transit_ms": 0},
        "jobs": {"retention_ms": 1, "max_attempts": 1, "max_age_ms": 1, "missing_max_ms": 1},
        "worker": {"concurrency": 1, "exchange_threads": 1, "sweep_ms": 5, "shutdown_ms": 1},
    }
)
"""By table, the whole numbers that are read here, each with its smallest value."""
PORTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"metrics": ("port", "beat_port", "web_port"), "web": ("port",)}
)
"""By table, ports of what is served: a strategy does not need them."""
PORT_MAX: Final = 65_535
VARIABLES: Final = ("redis_url", "redis_url_file", "key_prefix")
"""Texts that are read here from the environment too."""


class AccountTerms(Protocol):
    """What a strategy needs of an account."""

    @property
    def adapter(self) -> Exchange:
        """The exchange's adapter."""

    @property
    def uses_nonce(self) -> bool:
        """Whether requests carry a nonce."""

    @property
    def limits_in_force(self) -> tuple[Limit, ...]:
        """The exchange's limits with this account's overrides."""

    @property
    def timers(self) -> str:
        """Alias of the account that holds its timers; empty for none."""


class SwitchBounds(Protocol):
    """Limits of dead man's switches."""

    @property
    def min_timeout_ms(self) -> int:
        """Shortest timeout."""

    @property
    def max_timeout_ms(self) -> int:
        """Longest timeout."""

    @property
    def transit_ms(self) -> int:
        """Time that a countdown request may take to the exchange."""


class JobTerms(Protocol):
    """Limits of jobs."""

    @property
    def retention_ms(self) -> int:
        """How long the record of an ended job stays."""

    @property
    def max_age_ms(self) -> int:
        """How long workers try a job, from its first attempt."""


class ProducerSettings(Protocol):
    """What a producer reads of the settings; `Settings` and `ClientSettings` have it."""

    @property
    def redis_address(self) -> str:
        """The Redis URL; it may contain a password."""

    @property
    def redis_timeout_ms(self) -> int:
        """Longest that one call waits for Redis."""

    @property
    def redis_wait_replicas(self) -> int:
        """Number of replicas that must confirm what is promised."""

    @property
    def redis_wait_ms(self) -> int:
        """Longest wait for these replicas."""

    @property
    def key_prefix(self) -> str:
        """Prefix of every key."""

    @property
    def accounts(self) -> Mapping[str, AccountTerms]:
        """The accounts by alias."""

    @property
    def switches(self) -> SwitchBounds:
        """Limits of dead man's switches."""

    @property
    def jobs(self) -> JobTerms:
        """Limits of jobs."""


@dataclass(frozen=True, slots=True)
class ClientSwitches:
    """Limits of dead man's switches."""

    min_timeout_ms: int = 1_000
    max_timeout_ms: int = 86_400_000
    transit_ms: int = 300


@dataclass(frozen=True, slots=True)
class ClientJobs:
    """Limits of jobs."""

    retention_ms: int = 86_400_000
    max_age_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where Redis is, and which account is on which exchange."""

    redis_url: str = field(default=URL, repr=False)
    redis_url_file: Path | None = None
    redis_timeout_ms: int = 800
    redis_wait_replicas: int = 0
    redis_wait_ms: int = 200
    key_prefix: str = "cx:"
    accounts: Mapping[str, ClientAccount] = field(default_factory=dict)
    switches: ClientSwitches = ClientSwitches()
    jobs: ClientJobs = ClientJobs()

    @property
    def redis_address(self) -> str:
        """The Redis URL; it may contain a password."""
        if self.redis_url_file is not None:
            return read_secret(self.redis_url_file, "redis_url_file")
        return self.redis_url


def load_client_settings() -> ProducerSettings:
    """Read the settings that a strategy needs.

    Raises:
        SettingsError: As `load_settings`, in the same words.
    """
    try:
        return _plain(dict(os.environ), config_path())
    except (NotPlainError, OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, SettingsError):
        from worker.config.settings import load_settings  # noqa: PLC0415  slow

        return load_settings()


def _plain(environment: Mapping[str, str], path: Path | None) -> ClientSettings:
    table = {} if path is None else read_table(path)
    given = {name: table.pop(name) for name in [*table] if not isinstance(table[name], dict)}
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if variable.upper().startswith(PREFIX) and variable != CONFIG_VARIABLE:
            require(variable == PREFIX + name.upper() and name in VARIABLES)
            given[name] = value
    tables = {name: _numbers(name, table.pop(name, {})) for name in INTEGERS if name}
    accounts = read_accounts(table.pop("accounts", {}))
    _check_others(table)
    texts = {name: given.pop(name) for name in VARIABLES if name in given}
    require(all(isinstance(text, str) for text in texts.values()))
    require(not {"redis_url", "redis_url_file"} <= {*texts})
    require(bool(KEY_PREFIX.fullmatch(texts.get("key_prefix", "cx:"))))
    switches = {name: value for name, value in tables["switches"].items() if name != "max_pairs"}
    own = {each.name for each in fields(ClientJobs)}
    jobs = {name: value for name, value in tables["jobs"].items() if name in own}
    return ClientSettings(
        redis_url=texts.get("redis_url", URL),
        redis_url_file=Path(texts["redis_url_file"]) if "redis_url_file" in texts else None,
        redis_timeout_ms=_numbers("", given).get("redis_timeout_ms", 800),
        key_prefix=texts.get("key_prefix", "cx:"),
        accounts=accounts,
        switches=ClientSwitches(**switches),
        jobs=ClientJobs(**jobs),
    )


def _numbers(name: str, table: Any) -> dict[str, int]:  # noqa: ANN401  as read
    require(isinstance(table, dict))
    for key, value in table.items():
        least = INTEGERS[name].get(key)
        require(type(value) is int and least is not None and value >= least)
    return dict(table)


def _check_others(table: Mapping[str, Any]) -> None:
    """Require that the tables which a strategy does not need are plainly right."""
    for name, rows in table.items():
        require(isinstance(rows, dict) and name in (*PORTS, "notify"))
        for key, value in rows.items():
            if key in PORTS.get(name, ()):
                require(type(value) is int and 0 <= value <= PORT_MAX)
            elif (name, key) == ("notify", "urls_file"):
                require(isinstance(value, str) and value.isprintable())
            else:
                require(key == "host" and isinstance(value, str) and value.isprintable())
                require(name in PORTS and bool(value))
