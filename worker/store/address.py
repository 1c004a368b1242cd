"""Where Redis is: one URL, read once, for the store and for Celery's broker.

`redis://[user:password@]host:port/0`, the same with `rediss://` for TLS, or
`sentinel://[user:password@]host:port,host:port,…/0?master=NAME`. What else can
be said stands in the query: see `OPTIONS`. A password is percent-encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from worker.errors import SettingsError

SCHEMES = ("redis", "rediss", "sentinel")
REDIS_PORT = 6379
SENTINEL_PORT = 26379
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*FILES, "ssl_check_hostname", "ssl_cert_reqs")
SENTINEL_OPTIONS = ("master", "ssl", "sentinel_username", "sentinel_password")
OPTIONS = (*TLS_OPTIONS, *SENTINEL_OPTIONS)
SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
PROOFS = ("required", "none")


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis, or the Sentinels that know which one is the master.

    Attributes:
        hosts: Host and port: of Redis, one; of the Sentinels, any number.
        tls: What redis-py is told of TLS; None without TLS. With Sentinels it
            holds for them too.
        master: By what name the Sentinels know the master; empty without them.
        login: User name and password for Redis, as redis-py takes them.
        sentinel_login: The same for the Sentinels, which may have their own.
    """

    hosts: tuple[tuple[str, int], ...]
    db: int = 0
    tls: Mapping[str, Any] | None = None
    master: str = ""
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The address as a person may see it: without user names and passwords."""
        named = ",".join(_joined(host, port) for host, port in self.hosts)
        return f"{self.master} of {named}" if self.master else named

    @property
    def secrets(self) -> list[str]:
        """Every password in it, for masking."""
        found = (self.login.get("password"), self.sentinel_login.get("password"))
        return [form for secret in found if secret for form in (secret, quote(secret, safe=""))]

    @property
    def broker_url(self) -> str:
        """The address as Celery takes it: the first host, and no options."""
        scheme = "sentinel" if self.master else "rediss" if self.tls is not None else "redis"
        login = ":".join(quote(self.login.get(name, ""), safe="") for name in NAMES)
        host, port = self.hosts[0]
        return f"{scheme}://{login + '@' if login != ':' else ''}{_joined(host, port)}/{self.db}"


NAMES = ("username", "password")


def parse(url: str) -> Address:
    """Read a URL.

    Raises:
        SettingsError: It is none, or asks for what cannot be. The text names
            the part and the mend, and never shows the URL, which may hold a
            password.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _wrong("give redis://host:port/0; percent-encode what is special") from None
    if parts.scheme not in SCHEMES or parts.fragment or not parts.netloc.rpartition("@")[2]:
        raise _wrong(
            "give redis://host:port/0, rediss://host:port/0 or "
            "sentinel://host:port,host:port/0?master=NAME"
        )
    options = dict(given)
    by_sentinel = parts.scheme == "sentinel"
    allowed = OPTIONS if by_sentinel else TLS_OPTIONS if parts.scheme == "rediss" else ()
    if any(name not in allowed for name in options):
        # Not shown: behind a "?" that should have been encoded stands a password.
        known = ", ".join(allowed) or "none, and of rediss:// those of TLS"
        raise _wrong(f"unknown option after the '?'; known: {known}")
    if by_sentinel and not options.get("master"):
        raise _wrong("name the master: sentinel://host:port,host:port/0?master=NAME")
    with_tls = _switch(options, "ssl", default=False) if by_sentinel else parts.scheme == "rediss"
    if not with_tls and (idle := [name for name in options if name in TLS_OPTIONS]):
        raise _wrong(f"{idle[0]} needs TLS; add ssl=true")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    return Address(
        hosts=_hosts(hosts, SENTINEL_PORT if by_sentinel else REDIS_PORT, many=by_sentinel),
        db=_db(parts.path),
        tls=_tls(options) if with_tls else None,
        master=options.get("master", ""),
        login=_login(*map(unquote, userinfo.partition(":")[::2])),
        sentinel_login=_login(
            options.get("sentinel_username", ""), options.get("sentinel_password", "")
        ),
    )


def _hosts(text: str, default_port: int, *, many: bool) -> tuple[tuple[str, int], ...]:
    found = []
    for each in text.split(",") if many else [text]:
        try:
            host, port = urlsplit(f"//{each}").hostname, urlsplit(f"//{each}").port
        except ValueError:
            raise _wrong(
                "the port must be a number from 1 to 65535; percent-encode what is special in "
                "a password"
            ) from None
        if not host or port == 0:
            raise _wrong("each host is host:port, parted by commas" if many else "name the host")
        found.append((unquote(host), port or default_port))
    return tuple(found)


def _db(path: str) -> int:
    number = path.strip("/")
    if number and not (number.isascii() and number.isdecimal()):
        raise _wrong("after the host comes the number of the database, as in /0")
    return int(number or 0)


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    for name in FILES:
        if name in options and not Path(options[name]).is_file():
            raise _wrong(f"{name}: no such file: {_line(options[name])}")
    proof = options.get("ssl_cert_reqs", PROOFS[0])
    if proof not in PROOFS:
        raise _wrong("ssl_cert_reqs must be required or none")
    return {
        **{name: options[name] for name in FILES if name in options},
        "ssl_check_hostname": _switch(options, "ssl_check_hostname", default=True),
        "ssl_cert_reqs": proof,
    }


def _switch(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    if name not in options:
        return default
    try:
        return SWITCH[options[name].lower()]
    except KeyError:
        raise _wrong(f"{name} must be true or false") from None


def _login(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in zip(NAMES, (username, password), strict=True) if value}


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:120]


def _wrong(mend: str) -> SettingsError:
    return SettingsError(f"redis_url: {mend}")
