"""Settings: `worker.toml`, `WORKER_…` in the environment, secrets as files.

The environment overrides the file. The file is the one that `WORKER_CONFIG`
names, else `worker.toml` in the current folder if it exists.
"""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from worker.config.accounts import (
    CREDENTIALS,
    Account,
    Alias,
    LimitSettings,
    Table,
    check_timers,
    refuse_both,
    with_spans,
)
from worker.config.aliases import unknown_account
from worker.config.environment import nearest, sort_out
from worker.config.notify import Notify, Route
from worker.config.secret_values import masked, read_secret
from worker.config.serving import Metrics, Web
from worker.config.settings_file import CONFIG_VARIABLE, config_path, read_table
from worker.errors import SettingsError, UnknownAccount
from worker.exchanges.base import Access
from worker.extras import needing
from worker.model.text import shortened

log = logging.getLogger(__name__)

PREFIX = "WORKER_"
WARNED_MAX = 20
PROBLEMS_MAX = 20
_warned: set[str] = set()
"""Variables and settings that this process has warned about."""


class Jobs(Table):
    """Retry limits of a job.

    `max_age_ms` counts from a job's first attempt, so waiting for a rate slot
    behind a long backlog does not use it up. `unknown_account_ms` is how long a
    plain message waits for a worker that registers its account. While an account's
    credentials are refused, its jobs wait for up to `max_age_ms`.
    `unauthorized_attempts` no longer has an effect.
    """

    max_attempts: int = Field(default=5_000, gt=0)
    max_age_ms: int = Field(default=3_600_000, gt=0)
    missing_max_ms: int = Field(default=300_000, gt=0)
    unauthorized_attempts: int = Field(default=3, gt=0)
    backoff_base_ms: int = Field(default=100, gt=0)
    backoff_max_ms: int = Field(default=5_000, gt=0)
    lease_ms: int = Field(default=10_000, ge=500)
    retention_ms: int = Field(default=86_400_000, gt=0)
    unknown_account_ms: int = Field(default=30_000, ge=0)

    def on(self, missing_max_ms: int) -> Jobs:
        """Return the limits on an exchange: its `missing_max_ms`, unless one is set here."""
        if "missing_max_ms" in self.model_fields_set:
            return self
        return self.model_copy(update={"missing_max_ms": missing_max_ms})


class Http(Table):
    """Limits of one HTTP call to an exchange."""

    deadline_ms: int = Field(default=4_000, ge=50)
    connect_ms: int = Field(default=1_500, ge=50)
    resend_budget_ms: int = Field(default=1_000, ge=0)
    max_reply_bytes: int = Field(default=1_048_576, ge=1_024)
    idle_ms: int = Field(default=20_000, gt=0)
    trust_env: bool = False
    ca_file: Path | None = None


class Switches(Table):
    """Limits of dead man's switches."""

    min_timeout_ms: int = Field(default=1_000, ge=100)
    max_timeout_ms: int = Field(default=86_400_000, gt=0)
    max_pairs: int = Field(default=50, gt=0)
    transit_ms: int = Field(default=300, ge=0)


class Engine(Table):
    """The worker process."""

    concurrency: int = Field(default=16, gt=0)
    exchange_threads: int = Field(default=8, gt=0)
    sweep_ms: int = Field(default=80, ge=5)
    shutdown_ms: int = Field(default=10_000, gt=0)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


class _Environment(EnvSettingsSource):
    """Environment source that leaves malformed tables to validation."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ANN401
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class _File(TomlConfigSettingsSource):
    """Settings file source."""

    def _read_file(self, file_path: Path) -> dict[str, Any]:  # type: ignore[override]
        return read_table(file_path)


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    redis_url_file: Path | None = None
    redis_timeout_ms: int = Field(default=800, ge=10)
    redis_wait_replicas: int = Field(default=0, ge=0)
    redis_wait_ms: int = Field(default=200, gt=0)
    key_prefix: str = Field(default="cx:", pattern=r"^[A-Za-z0-9:_-]{1,32}$")
    plain_queue: str | None = Field(default=None, pattern=r"^[A-Za-z0-9:._-]{1,64}$")
    accounts: dict[Alias, Account] = Field(default_factory=dict)
    jobs: Jobs = Jobs()
    http: Http = Http()
    switches: Switches = Switches()
    worker: Engine = Engine()
    metrics: Metrics = Metrics()
    web: Web = Web()
    notify: Notify = Notify()
    sentry_dsn: SecretStr | None = None
    sentry_dsn_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _spans(cls, given: object) -> object:
        return with_spans(given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.http.deadline_ms + 500 > self.jobs.lease_ms:
            raise ValueError(
                "jobs.lease_ms must exceed http.deadline_ms by 500 or more, "
                "or another worker could claim a job while its request runs",
            )
        if self.redis_wait_replicas and self.redis_wait_ms >= self.redis_timeout_ms:
            raise ValueError(
                "redis_wait_ms must be less than redis_timeout_ms, "
                "or waiting for replicas would look like an outage of Redis",
            )
        refuse_both(self, "redis_url", "sentry_dsn")
        check_timers(self.accounts)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the library's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first, then the file."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, _Environment(settings_cls)]
        path = config_path()
        if path is not None:
            sources.append(_File(settings_cls, toml_file=path))
        return tuple(sources)

    @property
    def redis_address(self) -> str:
        """The Redis URL; it may contain a password."""
        if self.redis_url_file is not None:
            return read_secret(self.redis_url_file, "redis_url_file")
        return self.redis_url.get_secret_value()

    @property
    def sentry_address(self) -> str | None:
        """The Sentry DSN, or None."""
        if self.sentry_dsn_file is not None:
            return read_secret(self.sentry_dsn_file, "sentry_dsn_file")
        return self.sentry_dsn.get_secret_value() if self.sentry_dsn else None

    def account(self, alias: str) -> Account:
        """Return the account of `alias`.

        Raises:
            UnknownAccount: No account has this alias; the text lists the known ones.
        """
        try:
            return self.accounts[alias]
        except KeyError:
            raise UnknownAccount(unknown_account(alias, self.accounts)) from None

    def access(self, alias: str) -> Access:
        """Return host and credentials of `alias`.

        Raises:
            SettingsError: A secret is missing or cannot be right; the text names it.
            ExtraMissing: The exchange needs an extra that is not installed.
        """
        account = self.account(alias)
        where = f"accounts.{alias}"
        try:
            found = {name: account.secret(name) for name in CREDENTIALS}
            account.check_secret(found["api_secret"])
        except SettingsError as error:
            raise SettingsError(f"{where}.{error}") from None
        capabilities = account.adapter.capabilities
        needed = [*capabilities.credentials]
        needed += ["memo"] if capabilities.needs_memo else []
        needed += ["passphrase"] if capabilities.needs_passphrase else []
        for name in needed:
            if not found[name]:
                variable = f"{PREFIX}ACCOUNTS__{alias.upper()}__{name.upper()}"
                raise SettingsError(
                    f"{where}.{name} is missing; set it, {name}_file, or {variable}",
                )
        key = found["api_key"] or _stand_in(found)
        access = Access(
            base_url=account.url,
            api_key=key.lower() if capabilities.hex_keys else key,
            api_secret=found["api_secret"] or "",
            memo=(found["passphrase"] if "passphrase" in needed else found["memo"]) or "",
            uid=found["uid"] or "",
            wallet=found["wallet"] or "",
            private_key=found["private_key"] or "",
            auth=account.auth_mode,
            hash=account.hash,
            category=account.category,
            testnet=account.testnet,
        )
        with needing(f"{where} on {account.exchange}"):
            wrong = capabilities.vet(access)
        if wrong:
            raise SettingsError(f"{where}.{wrong}")
        return access


def _stand_in(found: Mapping[str, str | None]) -> str:
    """Return what identifies an account without an API key. It is never sent."""
    return next((f"{name}:{value}" for name, value in found.items() if value), "")


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401  checked by the model
    """Read and check the settings.

    Raises:
        SettingsError: One line for each mistake, which names the file or variable,
            the key and the fix; never a value.
    """
    path = config_path()
    where = shortened(str(path)) if path else "settings"
    problems = _wrong_variables()
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += _lines(error, where)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror}") from None
    if problems:
        raise SettingsError("\n".join(problems[:PROBLEMS_MAX])) from None
    if "unauthorized_attempts" in settings.jobs.model_fields_set:
        _warn_once("jobs.unauthorized_attempts", "no longer has an effect; use jobs.max_age_ms")
    return settings


def _warn_once(key: str, why: str) -> None:
    """Log a warning about a setting, once a process."""
    if key not in _warned:
        _warned.add(key)
        log.warning("setting %s %s", key, why)


def _wrong_variables() -> list[str]:
    """Return what is wrong with the variables; warn about foreign ones once a process."""
    fields = {name: _table(name) for name in Settings.model_fields}
    known = {
        name.upper(): [key.upper() for key in table.model_fields] if table else []
        for name, table in fields.items()
    }
    config = CONFIG_VARIABLE.removeprefix(PREFIX)
    found = sort_out(os.environ, PREFIX, {**known, config: []})
    problems = []
    for variable, meant in found.misspelled:
        hint = f"did you mean {PREFIX}{meant}? " if meant else ""
        listed = ", ".join(sorted(fields))
        problems.append(
            f"environment: {shortened(variable)} is not a setting; {shortened(hint)}known: {listed}"
        )
    problems += [
        f"environment: {shortened(first)} and {shortened(second)} are one setting with two "
        "values; remove one"
        for first, second in found.twice
    ]
    new = [shortened(variable) for variable in found.foreign if variable not in _warned]
    _warned.update(found.foreign)
    if new:
        log.warning("ignored variables that are not settings: %s", ", ".join(new[:WARNED_MAX]))
    return problems


def _table(name: str) -> type[BaseModel] | None:
    """Return the model of a setting that is a table with fixed keys, else None."""
    annotation = Settings.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _lines(error: ValidationError, where: str) -> list[str]:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    given = {name.upper(): name for name in os.environ}
    return [_line(each["loc"], each["type"], each["msg"], where, given) for each in errors]


def _line(
    loc: tuple[int | str, ...], kind: str, message: str, where: str, given: Mapping[str, str]
) -> str:
    location = [str(part) for part in loc if part != "[key]"]
    variable = given.get(PREFIX + "__".join(location).upper())
    origin = f"environment: {variable}" if variable else where
    key = shortened(".".join(map(masked, location)))
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = f"unknown key; {_known_keys(location)}"
    elif kind == "string_pattern_mismatch" and location[:1] == ["accounts"]:
        message = "an alias is a-z, 0-9, _ and -, at most 32 characters"
    elif kind == "int_parsing" and key.endswith("_ms"):
        message = "give an integer of milliseconds, or a time such as 500ms, 30s or 2m"
    return f"{origin}: {key}: {message}" if key else f"{origin}: {message}"


def _known_keys(location: list[str]) -> str:
    table: type[BaseModel] = Settings
    match location:
        case ["accounts", _, "limits", _, _]:
            table = LimitSettings
        case ["accounts", _, _]:
            table = Account
        case ["notify", "routes", _, _]:
            table = Route
        case [name, _]:
            table = _table(name) or Settings
        case _:
            pass
    meant = nearest(location[-1].lower(), table.model_fields)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"known: {', '.join(table.model_fields)}{hint}"
