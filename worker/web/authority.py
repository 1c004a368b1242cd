"""Who calls, and whether the call is theirs to make."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, TypeVar

from fastapi import Request

from worker.errors import StoreUnavailable
from worker.model.authority import Token, Verb, digest_of
from worker.model.text import shortened
from worker.store.api_tokens import admitting, counting_wrong
from worker.store.audit import entry_text
from worker.store.sessions import Session, finding_session
from worker.web.parts import Parts, parts_of
from worker.web.problems import Refused

T = TypeVar("T")
SAFE = ("GET", "HEAD")
CSRF_HEADER = "X-CSRF-Token"
BEARER = "bearer "
TOKENS_MAX = 1_000
"""Most tokens that are remembered."""
UNSAID = "give a token: Authorization: Bearer TOKEN (make one: cancel-worker token create)"
UNKNOWN = "no such token; it may have been revoked"
FOREIGN = "this token does not cover that account"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a call, once the verb is known to be theirs.

    Attributes:
        via: `api`, or `page` for a session.
        record: The token as Redis had it at an earlier call, if this one has not been
            admitted yet; see `NeedsLater`.
    """

    token: Token
    via: str
    request: Request
    record: str = ""

    def require(self, account: str) -> None:
        """Refuse the call if the token does not cover an account.

        Raises:
            Refused: With 403; it does not say whether the account exists.
        """
        if not self.token.covers(account):
            raise Refused(HTTPStatus.FORBIDDEN, "forbidden", FOREIGN)

    def require_everywhere(self) -> None:
        """Refuse the call if the token does not cover every account.

        Raises:
            Refused: With 403.
        """
        if not self.token.everywhere:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                "this token does not cover every account; name accounts",
            )

    def note(self, action: str, target: str = "", account: str = "") -> None:
        """Have the call written to the audit log once it is answered."""
        note(
            self.request,
            who=self.token.name,
            via=self.via,
            action=action,
            target=target,
            account=account,
        )

    def noted(self) -> None:
        """Have the call not written to the audit log: it has been, or is not known to be theirs."""
        self.request.state.audit = None


def note(
    request: Request, *, who: str, via: str, action: str, target: str = "", account: str = ""
) -> None:
    """Have a call written to the audit log once it is answered; see `guard`."""
    request.state.audit = {
        "who": who,
        "via": via,
        "action": action,
        "target": target,
        "account": account,
        "source": source_of(request, parts_of(request)),
    }


def entry_of(state: Mapping[str, Any], status: int) -> str | None:
    """Return what the audit log is to have of a call, or None if that is nothing."""
    noted: dict[str, str] | None = state.get("audit")
    if not noted:
        return None
    return entry_text(status=status, **{name: shortened(text) for name, text in noted.items()})


class Needs:
    """Dependency of a route: the caller, whose token has this verb.

    Raises:
        Refused: 401 without a known token, 403 without the verb, 429 above the limit.
    """

    def __init__(self, verb: Verb) -> None:
        self.verb = verb

    async def __call__(self, request: Request) -> Caller:
        """Return the caller."""
        parts = parts_of(request)
        caller, wait_ms = await _caller(request, parts)
        if self.verb not in caller.token.verbs:
            raise Refused(
                HTTPStatus.FORBIDDEN, "forbidden", f"this token lacks the verb {self.verb}"
            )
        if wait_ms:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                f"this token makes more than {parts.settings.web.requests_per_s} calls a second",
                retry_ms=wait_ms,
            )
        return caller


class NeedsLater(Needs):
    """The same, but a token that is known from an earlier call is not asked for.

    The route must have the call admitted with what it does, or call `admit`.
    """

    async def __call__(self, request: Request) -> Caller:
        """Return the caller; if it has a `record`, the call is not admitted yet."""
        secret = _secret_of(request)
        known = parts_of(request).tokens.get(digest_of(secret)) if secret else None
        if known is None or known.token is None or self.verb not in known.token.verbs:
            return await super().__call__(request)
        return Caller(known.token, "api", request, known.record)

    async def admit(self, caller: Caller) -> Caller:
        """Return the caller once the call is admitted."""
        return await super().__call__(caller.request) if caller.record else caller


def _secret_of(request: Request) -> str | None:
    """Return the bearer token of a request, or None without one."""
    header = request.headers.get("authorization", "")
    return header[len(BEARER) :].strip() if header.lower().startswith(BEARER) else None


async def _caller(request: Request, parts: Parts) -> tuple[Caller, int]:
    """Return the caller, and how many ms are left until its token may make this call."""
    secret = _secret_of(request)
    if secret is not None:
        token, wait_ms = await _bearer(request, parts, secret)
        return Caller(token, "api", request), wait_ms
    login = await login_of(request)
    if login is None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", UNSAID)
    if request.method not in SAFE:
        if not same(request.headers.get(CSRF_HEADER, ""), login.session.csrf):
            raise Refused(HTTPStatus.FORBIDDEN, "forbidden", f"{CSRF_HEADER} is missing or wrong")
        if not parts.settings.web.actions:
            raise Refused(
                HTTPStatus.FORBIDDEN, "forbidden", "the page may not act: set web.actions = true"
            )
    return Caller(login.token, "page", request), login.wait_ms


async def still(caller: Caller) -> bool:
    """Return whether a call that is kept open may continue: its token or session is valid.

    While Redis does not answer, it may.
    """
    try:
        await _caller(caller.request, parts_of(caller.request))
    except Refused:
        return False
    except StoreUnavailable:
        return True
    return True


@dataclass(frozen=True, slots=True)
class Login:
    """A session of the page, and the token that it was opened with.

    Attributes:
        wait_ms: 0, or how long until the token may make this call.
    """

    secret: str
    session: Session
    token: Token
    wait_ms: int


async def login_of(request: Request) -> Login | None:
    """Return the session that a request's cookie names; None if it or its token has ended."""
    parts = parts_of(request)
    secret = request.cookies.get(cookie_of(request), "")
    session = await parts.redis.carry(finding_session(secret)) if secret else None
    if session is None:
        return None
    found = await parts.redis.carry(admitting(session.token, parts.rate))
    return Login(secret, session, found.token, found.wait_ms) if found.token else None


def cookie_of(request: Request) -> str:
    """Return the name of the session's cookie: with TLS, one that no other host can set."""
    return "__Host-session" if request.app.state.tls else "session"


async def _bearer(request: Request, parts: Parts, secret: str) -> tuple[Token, int]:
    """Return the bearer token with this secret, and how many ms it must wait.

    A right one is accepted also from an address that has sent many wrong ones.

    Raises:
        Refused: 401 if there is none, 429 if the address has sent too many wrong ones.
    """
    digest = digest_of(secret)
    found = await parts.redis.carry(admitting(digest, parts.rate))
    token = await known(request, parts, found.token)
    if token.hook is not None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", UNKNOWN)
    parts.tokens[digest] = found
    parts.tokens.move_to_end(digest)
    if len(parts.tokens) > TOKENS_MAX:
        parts.tokens.popitem(last=False)
    return token, found.wait_ms


async def known(request: Request, parts: Parts, found: T | None) -> T:
    """Return what a secret was found to stand for; count it as wrong if that is nothing.

    Raises:
        Refused: 401 if it is wrong, 429 if the address has sent too many wrong ones.
    """
    if found is not None:
        return found
    guesser = guesser_of(request, parts)
    if wait_ms := await parts.redis.carry(counting_wrong(guesser, parts.wrong)):
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            "too many wrong tokens from this address",
            retry_ms=wait_ms,
        )
    raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", UNKNOWN)


def guesser_of(request: Request, parts: Parts) -> str:
    """Return whose wrong secrets are counted together.

    It is the client's address, or of IPv6 its first 64 bits: one client has all the others.
    """
    source = source_of(request, parts)
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if isinstance(address, IPv4Address):
        return source
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address.packed, 64), strict=False))


def source_of(request: Request, parts: Parts) -> str:
    """Return the client's address: behind a proxy, the last one that the proxy added."""
    if parts.behind_proxy:
        forwarded = request.headers.getlist("x-forwarded-for")
        last = forwarded[-1].rpartition(",")[2].strip() if forwarded else ""
        if last:
            return last[:64]
    return request.client.host if request.client else "unknown"


def same(left: str, right: str) -> bool:
    """Return whether two secrets are equal, in a time that does not depend on them."""
    return hmac.compare_digest(left.encode(), right.encode())
