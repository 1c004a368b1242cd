"""Where Redis is: one URL, read once, for the store and for Celery's broker.

`redis://[user:password@]host:port/0`, the same with `rediss://` for TLS,
`unix://[user:password@]/path/of/redis.sock?db=0` (or `redis+socket://`, as Celery has it), or
`sentinel://[user:password@]host:port,host:port,…/0?master=NAME`. What else can
be said stands in the query: see `ALLOWED`. A password is percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from worker.errors import SettingsError
from worker.model.text import shortened

SOCKETS = ("unix", "redis+socket")
SCHEMES = ("redis", "rediss", "sentinel", *SOCKETS)
REDIS_PORT = 6379
SENTINEL_PORT = 26379
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*FILES, "ssl_check_hostname", "ssl_cert_reqs")
SENTINEL_OPTIONS = ("master", "ssl", "sentinel_username", "sentinel_password")
OPTIONS = (*TLS_OPTIONS, *SENTINEL_OPTIONS)
SOCKET_OPTIONS = ("db", "virtual_host", "username", "password")
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "redis": (),
    "rediss": TLS_OPTIONS,
    "sentinel": OPTIONS,
    **dict.fromkeys(SOCKETS, SOCKET_OPTIONS),
}
FORMS = (
    "give redis://host:port/0, rediss://host:port/0, unix:///path/of/redis.sock?db=0 or "
    "sentinel://host:port,host:port/0?master=NAME"
)
ENCODE = (
    "percent-encode what is special in a password: # %23, / %2F, ? %3F, @ %40, : %3A, % %25, [ %5B"
)
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?"
_QUERY = r"(?:\?[a-z_]+=[^#]*)?"
_AFTER_LOGIN = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/\d*)?{_QUERY}")
_AFTER_LOGIN_OF_SOCKET = re.compile(rf"/[^?#]+{_QUERY}")
ENDS = {
    scheme: (_AFTER_LOGIN_OF_SOCKET if scheme in SOCKETS else _AFTER_LOGIN).fullmatch
    for scheme in SCHEMES
}
"""Whether a text can be what comes after user and password."""
SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
PROOFS = ("required", "none")


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis, or the Sentinels that know which one is the master.

    Attributes:
        hosts: Host and port: of Redis, one; of the Sentinels, any number; of a socket, none.
        socket: Path of a Unix socket; else empty.
        tls: Arguments of redis-py for TLS; None without TLS. With Sentinels it
            holds for them too.
        master: By what name the Sentinels know the master; empty without them.
        login: User name and password for Redis, as redis-py takes them.
        sentinel_login: The same for the Sentinels, which may have their own.
        written: Passwords as the URL has them.
    """

    hosts: tuple[tuple[str, int], ...]
    db: int = 0
    tls: Mapping[str, Any] | None = None
    master: str = ""
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)
    socket: str = ""
    written: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def shown(self) -> str:
        """The address as a person may see it: without user names and passwords."""
        if self.socket:
            return shortened(self.socket)
        named = ",".join(_joined(host, port) for host, port in self.hosts)
        return f"{self.master} of {named}" if self.master else named

    @property
    def secrets(self) -> list[str]:
        """Every password in it, for masking."""
        found = (self.login.get("password"), self.sentinel_login.get("password"))
        forms = [form for secret in found if secret for form in (secret, quote(secret, safe=""))]
        return [*forms, *self.written]

    @property
    def broker_url(self) -> str:
        """The address as Celery takes it: the first host, and no options.

        Of a Unix socket, whose path the transport is given beside it, a name alone.
        """
        login = ":".join(quote(self.login.get(name, ""), safe="") for name in NAMES)
        login = login + "@" if login != ":" else ""
        if self.socket:
            return f"unix://{login}{quote(self.socket, safe='')}/{self.db}"
        scheme = "sentinel" if self.master else "rediss" if self.tls is not None else "redis"
        return f"{scheme}://{login}{_joined(*self.hosts[0])}/{self.db}"


NAMES = ("username", "password")


def parse(url: str) -> Address:
    """Read a URL.

    What is special in a password should be percent-encoded. Where it is not, the URL is read
    by where its host can begin, if there is one such place alone.

    Raises:
        SettingsError: It is none, or asks for what cannot be. The text names
            the part and the fix, and never shows the URL, which may hold a
            password.
    """
    url = url.strip()
    if not url.isprintable():
        raise _wrong("it holds a control character, or bytes that are not UTF-8")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise _wrong(FORMS)
    userinfo, _, tail = _split(rest)
    try:
        return _read(scheme, userinfo, tail)
    except SettingsError as error:
        failed = error
    ends = [at for at, char in enumerate(rest) if char == "@" and ENDS[scheme](rest[at + 1 :])]
    if len(ends) != 1 or ends[0] == len(userinfo):
        raise failed
    return _read(scheme, rest[: ends[0]], rest[ends[0] + 1 :])


def _split(rest: str) -> tuple[str, str, str]:
    """Return user and password, and what comes after them, as the standard has it."""
    userinfo, at, _ = _parts(rest).netloc.rpartition("@")
    return userinfo, at, rest[len(userinfo) + len(at) :]


class _Parts(NamedTuple):
    netloc: str
    path: str
    query: str
    fragment: str


def _parts(rest: str) -> _Parts:
    """Split what follows the scheme. `urlsplit` knows no list of hosts with one in brackets."""
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    return _Parts(netloc, slash + path, query, fragment)


def _read(scheme: str, userinfo: str, tail: str) -> Address:
    try:
        parts = _parts(tail)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _wrong(f"give redis://host:port/0; {ENCODE}") from None
    if parts.fragment or "@" in parts.netloc:
        raise _wrong(f"{FORMS}; {ENCODE}")
    options = dict(given)
    by_sentinel = scheme == "sentinel"
    allowed = ALLOWED[scheme]
    if any(name not in allowed for name in options):
        # Not shown: behind a "?" that should have been encoded, a password follows.
        known = ", ".join(allowed) or "none, and of rediss:// those of TLS"
        raise _wrong(f"unknown option after the '?'; known: {known}")
    login = [_unquoted(part) for part in userinfo.partition(":")[::2]]
    written = tuple(filter(None, [userinfo.partition(":")[2]]))
    if scheme in SOCKETS:
        return _of_socket(parts.netloc, parts.path, options, login, written)
    if not parts.netloc:
        raise _wrong(FORMS)
    if by_sentinel and not options.get("master"):
        raise _wrong("name the master: sentinel://host:port,host:port/0?master=NAME")
    with_tls = _switch(options, "ssl", default=False) if by_sentinel else scheme == "rediss"
    if not with_tls and (idle := [name for name in options if name in TLS_OPTIONS]):
        raise _wrong(f"{idle[0]} needs TLS; add ssl=true")
    return Address(
        hosts=_hosts(parts.netloc, SENTINEL_PORT if by_sentinel else REDIS_PORT, many=by_sentinel),
        db=_db(parts.path.strip("/")),
        tls=_tls(options) if with_tls else None,
        master=options.get("master", ""),
        login=_login(*login),
        sentinel_login=_login(
            options.get("sentinel_username", ""), options.get("sentinel_password", "")
        ),
        written=written,
    )


def _of_socket(
    netloc: str, path: str, options: Mapping[str, str], login: list[str], written: tuple[str, ...]
) -> Address:
    if netloc or not path.strip("/"):
        raise _wrong("give the whole path of the socket: unix:///run/redis.sock?db=0")
    username, password = login
    return Address(
        hosts=(),
        socket=unquote(path),
        db=_db(options.get("db") or options.get("virtual_host", "").strip("/")),
        login=_login(
            username or options.get("username", ""), password or options.get("password", "")
        ),
        written=written,
    )


def _unquoted(text: str) -> str:
    """Decode what is percent-encoded; what no encoding of text looks like is taken as it is."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _hosts(text: str, default_port: int, *, many: bool) -> tuple[tuple[str, int], ...]:
    found = []
    for each in text.split(",") if many else [text]:
        try:
            host, port = urlsplit(f"//{each}").hostname, urlsplit(f"//{each}").port
        except ValueError:
            raise _wrong(f"the port must be a number from 1 to 65535; {ENCODE}") from None
        if not host or port == 0:
            raise _wrong("each host is host:port, parted by commas" if many else "name the host")
        found.append((unquote(host), port or default_port))
    return tuple(found)


def _db(number: str) -> int:
    if number and not (number.isascii() and number.isdecimal()):
        raise _wrong(f"after the host comes the number of the database, as in /0; {ENCODE}")
    return int(number or 0)


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    for name in FILES:
        if name in options and not Path(options[name]).is_file():
            raise _wrong(f"{name}: no such file: {shortened(options[name])}")
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


def _wrong(mend: str) -> SettingsError:
    return SettingsError(f"redis_url: {mend}")
