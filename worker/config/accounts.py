"""Settings of an account: exchange, host, credentials. Secrets are read on demand."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from worker.config.aliases import auth_mode_of
from worker.config.environment import nearest
from worker.config.secret_values import BARE, check_base64, is_bare, read_secret
from worker.exchanges import CCXT, EXCHANGES, adapter_instead, ccxt_names
from worker.exchanges.base import Exchange, Limit
from worker.model.durations import duration_ms

PLAIN_WORD = re.compile(r"[a-z_]{1,16}")
"""Values that an error may show: too short and plain to be a secret."""
CREDENTIALS = ("api_key", "api_secret", "memo", "passphrase", "uid", "wallet", "private_key")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Alias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Table(BaseModel):
    """A frozen table of settings. Unknown keys are errors; errors never show values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _spans(cls, given: object) -> object:
        return with_spans(given)


def with_spans(given: object) -> object:
    """Return a table whose times, such as `30s`, are numbers of ms where its keys end in `_ms`."""
    if not isinstance(given, dict):
        return given
    table = dict(given)
    for key, value in given.items():
        if isinstance(key, str) and key.lower().endswith("_ms") and isinstance(value, str):
            with contextlib.suppress(ValueError):  # pydantic reports it
                table[key] = duration_ms(value, unit="ms")
    return table


class LimitSettings(Table):
    """A rate limit that replaces the exchange's default."""

    max_requests: int = Field(gt=0)
    window_ms: int = Field(gt=0)


class Account(Table):
    """One account on one exchange."""

    exchange: str
    base_url: str | None = None
    testnet: bool = False
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    api_secret: SecretStr | None = None
    api_secret_file: Path | None = None
    memo: SecretStr | None = None
    memo_file: Path | None = None
    passphrase: SecretStr | None = None
    passphrase_file: Path | None = None
    uid: SecretStr | None = None
    uid_file: Path | None = None
    wallet: SecretStr | None = None
    wallet_file: Path | None = None
    private_key: SecretStr | None = None
    private_key_file: Path | None = None
    unproven: bool = False
    auth: str = ""
    hash: str = ""
    category: str = ""
    timers: str = ""
    egress_ip: str | None = None
    bulk: bool = False
    limits: dict[str, LimitSettings] = Field(default_factory=dict)

    @field_validator("exchange")
    @classmethod
    def _known(cls, value: str) -> str:
        if instead := adapter_instead(value):
            raise ValueError(
                f'use exchange = "{instead}": it has an adapter of its own, and one key must not '
                "be two accounts"
            )
        if value not in EXCHANGES:
            if value.startswith(CCXT):
                meant = nearest(value[:64].lower(), ccxt_names())
                raise ValueError(
                    "ccxt signs no cancel for an exchange of this id"
                    + (f"; did you mean {meant}?" if meant else "")
                )
            meant = nearest(value[:64].lower(), EXCHANGES)
            hint = f"; did you mean {meant}?" if meant else ""
            known = ", ".join((*EXCHANGES, f"{CCXT}<id>"))
            raise ValueError(f"unknown exchange{_named(value)}; use one of {known}{hint}")
        return value

    @field_validator("base_url")
    @classmethod
    def _safe_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        wrong = ValueError("give a URL such as https://host/path")
        if not value.isprintable() or " " in value:
            raise wrong
        try:
            url = urlsplit(value)
            _ = url.port
        except ValueError:
            raise wrong from None
        if url.scheme not in ("https", "http") or not url.hostname or url.query or url.fragment:
            raise wrong
        if url.username or url.password:
            raise ValueError("a base URL holds no user or password")
        if url.scheme == "http" and url.hostname not in LOOPBACK:
            raise ValueError("http:// sends keys in the clear; use https://")
        return value.rstrip("/")

    @field_validator("egress_ip")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                # Rate limits are keyed by the address: use one spelling.
                return plain_address(value)
            except ValueError:
                raise ValueError("give a local IP address such as 203.0.113.7") from None
        return None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        modes = self.adapter.capabilities.auth_modes
        if self.auth and self.auth not in modes:
            known = f"use one of {', '.join(modes)}" if modes else "leave it out"
            raise ValueError(f"auth{_named(self.auth)} is not offered by {self.exchange}; {known}")
        hashes = self.adapter.capabilities.hashes
        if self.hash and self.hash not in hashes:
            known = f"use one of {', '.join(hashes)}" if hashes else "leave it out"
            raise ValueError(f"hash{_named(self.hash)} is not offered by {self.exchange}; {known}")
        self._check_category()
        if self.timers and not self.adapter.capabilities.timers_at:
            raise ValueError(f"no other account holds timers for {self.exchange}; remove timers")
        if self.testnet and self.base_url:
            raise ValueError("give testnet or base_url, not both")
        if self.testnet and not self.adapter.hosts.testnet:
            raise ValueError(f"{self.exchange} documents no test host; give base_url instead")
        if self.bulk and not self.adapter.capabilities.bulk_max:
            raise ValueError(f"{self.exchange} cancels one order a request; remove bulk")
        names = [limit.name for limit in self.adapter.capabilities.limits]
        for name in self.limits:
            if name not in names:
                known = ", ".join(names) or "none"
                raise ValueError(f"unknown limit{_named(name)}; {self.exchange} has {known}")
        if self.unproven != self.adapter.capabilities.unproven:
            raise ValueError(
                f"what {self.exchange} replies is in no document known here, so its cancels end "
                "as CANCELED only by an order report, and its lists prove nothing: add "
                "unproven = true to use it all the same"
                if self.adapter.capabilities.unproven
                else f"the replies of {self.exchange} are documented; remove unproven"
            )
        refuse_both(self, *CREDENTIALS)
        return self

    def _check_category(self) -> None:
        known = self.adapter.capabilities.categories
        if not known and self.category:
            raise ValueError(f"category is not offered by {self.exchange}; leave it out")
        if known and self.category not in known:
            one_of = f"use one of {', '.join(known)}"
            if not self.category:
                raise ValueError(f"category is missing; {self.exchange} needs it: {one_of}")
            wrong = _named(self.category)
            raise ValueError(f"category{wrong} is not offered by {self.exchange}; {one_of}")

    @field_validator(*CREDENTIALS)
    @classmethod
    def _bare(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_bare(value.get_secret_value()):
            raise ValueError(BARE)
        return value

    @property
    def adapter(self) -> Exchange:
        """The exchange's adapter."""
        return EXCHANGES[self.exchange]

    @property
    def auth_mode(self) -> str:
        """The auth mode in use; empty if the exchange has only one."""
        return auth_mode_of(self.adapter, self.auth)

    @property
    def uses_nonce(self) -> bool:
        """Whether requests carry a nonce, and so must be sent one at a time."""
        return self.auth_mode in self.adapter.capabilities.nonce_auth

    @property
    def url(self) -> str:
        """The base URL in use, without a trailing slash."""
        hosts = self.adapter.hosts
        if self.testnet and hosts.testnet:
            return hosts.testnet
        return self.base_url or hosts.production

    @property
    def site(self) -> str:
        """The exchange's site that holds the account: production, testnet, or a URL.

        The same key names different accounts on different sites. All documented
        production hosts are one site.
        """
        hosts = self.adapter.hosts
        if self.url in (hosts.production, *hosts.others):
            return "production"
        return "testnet" if self.url == hosts.testnet else self.url.casefold()

    @property
    def limits_in_force(self) -> tuple[Limit, ...]:
        """The exchange's limits with this account's overrides."""
        return tuple(
            replace(limit, max_requests=override.max_requests, window_ms=override.window_ms)
            if (override := self.limits.get(limit.name))
            else limit
            for limit in self.adapter.capabilities.limits
        )

    def secret(self, name: str) -> str | None:
        """Read a secret from the settings or from its file; None if not given.

        Raises:
            SettingsError: The file cannot be read, is empty or is too large.
        """
        value: SecretStr | None = getattr(self, name)
        if value is not None:
            return value.get_secret_value() or None
        path: Path | None = getattr(self, f"{name}_file")
        return None if path is None else read_secret(path, f"{name}_file")

    def check_secret(self, secret: str | None) -> None:
        """Refuse an API secret with which no request can be signed.

        Raises:
            SettingsError: The exchange's secrets are base64, and this one is not.
        """
        if secret and self.adapter.capabilities.base64_secret:
            check_base64(secret, "api_secret")


def check_timers(accounts: Mapping[str, Account]) -> None:
    """Refuse a `timers` that does not name an account which can hold them."""
    for alias, account in accounts.items():
        wanted = account.adapter.capabilities.timers_at
        holder = accounts.get(account.timers)
        if account.timers and (holder is None or holder.exchange != wanted):
            raise ValueError(f"accounts.{alias}.timers must be the alias of an account on {wanted}")


def plain_address(text: str) -> str:
    """Return the canonical form of an IP address.

    Raises:
        ValueError: `text` is not an IP address.
    """
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def refuse_both(table: BaseModel, *names: str) -> None:
    """Refuse a secret that is given both inline and as a file."""
    for name in names:
        if {name, f"{name}_file"} <= {
            given for given in table.model_fields_set if getattr(table, given) is not None
        }:
            raise ValueError(f"give {name} or {name}_file, not both")


def _named(value: str) -> str:
    """Return a wrong value for an error text; empty if it could be a secret."""
    return f" {value!r}" if PLAIN_WORD.fullmatch(value) else ""
