"""Settings of notifications: who is notified of what. Addresses are secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.config.accounts import PLAIN_WORD, Alias, Table
from worker.errors import SettingsError
from worker.model.notices import EVENTS

FILE_MAX_BYTES = 65_536
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
WRONG = "give addresses of the form scheme://…, such as tgram://TOKEN/CHAT"


class Route(Table):
    """Addresses, and what is sent to them.

    Attributes:
        urls: Addresses as apprise takes them. Each is a secret.
        urls_file: A file of them, one a line; `#` begins a comment.
        events: Names of events; empty for all.
        accounts: Aliases; empty for all. Events without an account are always sent.
    """

    urls: tuple[SecretStr, ...] = ()
    urls_file: Path | None = None
    events: tuple[str, ...] = ()
    accounts: tuple[Alias, ...] = ()

    @field_validator("events", "accounts", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Accept comma-separated names, as an environment variable gives them."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("urls", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """Accept addresses separated by spaces, as an environment variable gives them."""
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("urls")
    @classmethod
    def _addresses(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(ADDRESS.fullmatch(each.get_secret_value()) for each in value):
            raise ValueError(WRONG)
        return value

    @field_validator("events")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not set(value) <= set(EVENTS):
            raise ValueError(f"unknown event; known: {', '.join(EVENTS)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.urls and self.urls_file is not None:
            raise ValueError("give urls or urls_file, not both")
        return self

    def addresses(self, where: str) -> tuple[str, ...]:
        """Return the addresses, those of the file read anew.

        Args:
            where: Name of this table in the settings, for errors.

        Raises:
            SettingsError: The file cannot be read, or a line is no address.
        """
        if self.urls_file is None:
            return tuple(each.get_secret_value() for each in self.urls)
        place = f"{where}.urls_file: {self.urls_file}"
        try:
            data = self.urls_file.read_bytes()[:FILE_MAX_BYTES]
            lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
        except OSError as error:
            raise SettingsError(f"{place}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{place}: not UTF-8 text; save it as UTF-8") from None
        found = []
        for number, line in enumerate(lines, start=1):
            if line and not line.startswith("#"):
                if not ADDRESS.fullmatch(line):
                    raise SettingsError(f"{place}: line {number}: {WRONG}")
                found.append(line)
        return tuple(found)


class Notify(Route):
    """Notifications; off without an address.

    Attributes:
        repeat_ms: How long until an outage that goes on is notified again.
        routes: Further addresses, each with events and accounts of its own.
    """

    repeat_ms: int = Field(default=3_600_000, ge=1_000)
    routes: Mapping[Alias, Route] = Field(default_factory=dict)

    def named_routes(self) -> Iterator[tuple[str, Route]]:
        """Yield this route and the further ones, each with its name in the settings."""
        yield "notify", self
        for name, route in self.routes.items():
            yield f"notify.routes.{name}", route

    @property
    def configured(self) -> bool:
        """Whether any address may be configured; no file is read."""
        return any(route.urls or route.urls_file for _, route in self.named_routes())

    def secrets(self) -> Iterator[str]:
        """Yield each address and its parts that can be secret, for masking.

        Raises:
            SettingsError: As for `Route.addresses`.
        """
        for where, route in self.named_routes():
            for address in route.addresses(where):
                yield from parts_of(address)


def parts_of(address: str) -> Iterator[str]:
    """Yield an address and its parts that can be secret: not scheme, host name, plain words."""
    yield address
    body, _, query = address.partition("://")[2].partition("?")
    place, _, path = body.partition("/")
    login, _, host = place.rpartition("@")
    for part in login.split(":"):
        yield part
        yield unquote(part)
    # Where no dot shows it to be a host name, it may be a token, as in slack://TOKEN/….
    parts = [] if "." in host or host.partition(":")[0] == "localhost" else [host]
    parts += [*path.split("/"), *(value for _, value in parse_qsl(query))]
    for part in parts:
        if not PLAIN_WORD.fullmatch(part):
            yield part
            yield unquote(part)
