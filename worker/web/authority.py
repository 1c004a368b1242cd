"""Who calls, and whether the call is theirs to make."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from fastapi import Request

from worker.model.authority import Token, Verb
from worker.store.sessions import Session
from worker.web.parts import Parts, parts_of
from worker.web.problems import Refused

T = TypeVar("T")
SAFE = ("GET", "HEAD")
CSRF_HEADER = "X-CSRF-Token"
BEARER = "bearer "
UNSAID = "give a token: Authorization: Bearer TOKEN (make one: cancel-worker token create)"
UNKNOWN = "no such token; it may have been revoked"
FOREIGN = "this token does not cover that account"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a call, once the verb is known to be theirs.

    Attributes:
        via: `api`, or `page` for a session.
    """

    token: Token
    via: str
    request: Request

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


class Needs:
    """Dependency of a route: the caller, whose token has this verb.

    Raises:
        Refused: 401 without a known token, 403 without the verb, 429 above the limit.
    """

    def __init__(self, verb: Verb) -> None:
        self.verb = verb

    def __call__(self, request: Request) -> Caller:
        """Return the caller."""
        parts = parts_of(request)
        caller = _caller(request, parts)
        if self.verb not in caller.token.verbs:
            raise Refused(
                HTTPStatus.FORBIDDEN, "forbidden", f"this token lacks the verb {self.verb}"
            )
        if wait_ms := parts.calls.take(caller.token.digest):
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                f"this token makes more than {parts.settings.web.requests_per_s} calls a second",
                retry_ms=wait_ms,
            )
        return caller


def _caller(request: Request, parts: Parts) -> Caller:
    header = request.headers.get("authorization", "")
    if header.lower().startswith(BEARER):
        return Caller(bearer(request, parts, header[len(BEARER) :].strip()), "api", request)
    login = login_of(request)
    if login is None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", UNSAID)
    if request.method not in SAFE:
        if not same(request.headers.get(CSRF_HEADER, ""), login.session.csrf):
            raise Refused(HTTPStatus.FORBIDDEN, "forbidden", f"{CSRF_HEADER} is missing or wrong")
        if not parts.settings.web.actions:
            raise Refused(
                HTTPStatus.FORBIDDEN, "forbidden", "the page may not act: set web.actions = true"
            )
    return Caller(login.token, "page", request)


@dataclass(frozen=True, slots=True)
class Login:
    """A session of the page, and the token that it was opened with."""

    secret: str
    session: Session
    token: Token


def login_of(request: Request) -> Login | None:
    """Return the session that a request's cookie names; None if it or its token has ended."""
    parts = parts_of(request)
    secret = request.cookies.get(cookie_of(request), "")
    session = parts.sessions.find(secret) if secret else None
    token = parts.tokens.by_digest(session.token) if session else None
    return Login(secret, session, token) if session and token else None


def cookie_of(request: Request) -> str:
    """Return the name of the session's cookie: with TLS, one that no other host can set."""
    return "__Host-session" if request.app.state.tls else "session"


def bearer(request: Request, parts: Parts, secret: str) -> Token:
    """Return the bearer token with this secret.

    A right one is accepted also from an address that has sent many wrong ones.

    Raises:
        Refused: 401 if there is none, 429 if the address has sent too many wrong ones.
    """
    token = looked_up(request, parts, lambda: parts.tokens.find(secret))
    if token.hook is not None:
        raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", UNKNOWN)
    return token


def looked_up(request: Request, parts: Parts, find: Callable[[], T | None]) -> T:
    """Return what a secret stands for; count it as wrong if that is nothing.

    Raises:
        Refused: 401 if it is wrong, 429 if the address has sent too many wrong ones.
    """
    source = source_of(request, parts)
    found = find()
    if found is not None:
        return found
    if wait_ms := parts.wrong.take(source):
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            "too many wrong tokens from this address",
            retry_ms=wait_ms,
        )
    raise Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", UNKNOWN)


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
