"""`/`, `/login` and `/logout`."""

from __future__ import annotations

from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from worker import __version__
from worker.errors import StoreUnavailable
from worker.model.authority import Verb, digest_of
from worker.model.outcomes import Outcome
from worker.store.api_tokens import counting_wrong, finding_token
from worker.store.job_steps import reading_accounts
from worker.store.sessions import KEPT_MS, closing, opening
from worker.web import state
from worker.web.authority import Login, cookie_of, guesser_of, login_of, note, same
from worker.web.parts import Parts, parts_of

router = APIRouter(include_in_schema=False)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # With `no-referrer` a browser sends forms without their origin.
    "Referrer-Policy": "same-origin",
}
FORM_MAX = 4_096
"""Most bytes of a form."""
TOO_MANY = "Too many wrong tokens from this address. Try again in {} s."
WRONG = "No such token; it may have been revoked."
BLIND = "This token lacks the verb read, which the page needs."
FOREIGN = "This form was sent by another site."
TEMPLATES = Environment(
    loader=PackageLoader("worker.web.page"), autoescape=select_autoescape(default=True)
)


class Static(StaticFiles):
    """Scripts, styles and icons, checked for changes at each use."""

    def __init__(self) -> None:
        super().__init__(directory=str(resources.files("worker.web.page") / "static"))

    def file_response(self, *args: Any, **options: Any) -> Response:  # noqa: ANN401  starlette's
        """Return a file."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


@router.get("/")
async def page(request: Request) -> Response:
    """Return the page, with the state as it is now; without a login, go there."""
    try:
        login = await login_of(request)
        if login is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        known = await run_in_threadpool(state.look, parts_of(request))
        boot = await _boot(parts_of(request), login)
    except StoreUnavailable as error:
        headers = {"Refresh": "3"}
        return _html("unavailable.html", HTTPStatus.SERVICE_UNAVAILABLE, headers, error=str(error))
    now = state.status(known, login.token)
    return _html("page.html", status=now, boot=boot, name=login.token.name)


@router.get("/login")
def login_form() -> Response:
    """Return the login form."""
    return _html("login.html", error="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Open a session with a token; it gets a new secret each time."""
    if _foreign(request):
        return _html("login.html", HTTPStatus.FORBIDDEN, error=FOREIGN)
    form = await _form(request)
    secret = form.get("token", [""])[0].strip()
    return await _log_in(request, secret)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session."""
    form = await _form(request)
    return await _log_out(request, form.get("csrf", [""])[0])


async def _form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form; a large one would keep the event loop busy.

    Raises:
        HTTPException: 413 for more than `FORM_MAX` bytes.
    """
    body = await request.body()
    if len(body) > FORM_MAX:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return parse_qs(body.decode("utf-8", "replace"))


async def _log_in(request: Request, secret: str) -> Response:
    parts = parts_of(request)
    guesser = guesser_of(request, parts)
    try:
        if wait_ms := await parts.redis.carry(counting_wrong(guesser, parts.wrong, count=False)):
            wait_s = -(-wait_ms // 1_000)
            headers = {"Retry-After": str(wait_s)}
            text = TOO_MANY.format(wait_s)
            return _html("login.html", HTTPStatus.TOO_MANY_REQUESTS, headers, error=text)
        token = await parts.redis.carry(finding_token(digest_of(secret)))
        if token is None or token.hook:
            await parts.redis.carry(counting_wrong(guesser, parts.wrong))
            note(request, who="unknown", via="page", action="login")
            return _html("login.html", HTTPStatus.UNAUTHORIZED, error=WRONG)
        if Verb.READ not in token.verbs:
            return _html("login.html", HTTPStatus.FORBIDDEN, error=BLIND)
        session = await parts.redis.carry(opening(token.digest))
    except StoreUnavailable as error:
        return _html("login.html", HTTPStatus.SERVICE_UNAVAILABLE, error=f"{error}.")
    note(request, who=token.name, via="page", action="login")
    reply = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    reply.set_cookie(
        cookie_of(request),
        session,
        max_age=KEPT_MS // 1_000,
        path="/",
        secure=request.app.state.tls,
        httponly=True,
        samesite="strict",
    )
    return reply


async def _log_out(request: Request, csrf: str) -> Response:
    login = await login_of(request)
    if login and same(csrf, login.session.csrf):
        await parts_of(request).redis.carry(closing(login.secret))
    reply = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    if login:
        reply.delete_cookie(
            cookie_of(request), path="/", secure=request.app.state.tls, httponly=True
        )
    return reply


def _foreign(request: Request) -> bool:
    """Return whether a browser says that another site sent the request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


async def _boot(parts: Parts, login: Login) -> dict[str, Any]:
    """Return what the scripts need to know of the session."""
    accounts = {*parts.settings.accounts, *await parts.redis.carry(reading_accounts())}
    verbs = sorted(login.token.verbs) if parts.settings.web.actions else [Verb.READ]
    return {
        "csrf": login.session.csrf,
        "verbs": verbs,
        "actions": parts.settings.web.actions,
        "accounts": sorted(login.token.covered(accounts)),
        "everywhere": login.token.everywhere,
        "outcomes": [*Outcome],
    }


def _html(
    template: str,
    code: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    **context: object,
) -> HTMLResponse:
    text = TEMPLATES.get_template(template).render(version=__version__, **context)
    return HTMLResponse(text, code, headers={**HEADERS, **(headers or {})})
