"""The ASGI application: routes, errors, OpenAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from worker import __version__
from worker.errors import CancelWorkerError
from worker.telemetry.health.request import Hosts
from worker.web import problems
from worker.web.authority import Needs
from worker.web.feed import Feed
from worker.web.guard import Guard
from worker.web.page import routes as page
from worker.web.parts import Parts
from worker.web.routes import cancels, dead_letters, hooks, jobs, panic, status, switches

ROUTERS = (
    cancels.router,
    panic.router,
    jobs.router,
    switches.router,
    dead_letters.router,
    status.router,
    hooks.router,
)
DESCRIPTION = (
    "Cancels orders and holds dead man's switches. Errors are problem+json, RFC 9457. "
    "Times are Unix milliseconds on Redis's clock."
)


def build_app(parts: Parts, *, tls: bool = False) -> FastAPI:
    """Return the application of one process.

    Args:
        parts: What the routes share.
        tls: Whether clients reach it by HTTPS.
    """
    app = FastAPI(
        title="cancel-worker",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.state.tls = tls
    app.state.feed = Feed(parts)
    for router in (*ROUTERS, page.router):
        app.include_router(router)
    app.mount("/static", page.Static())
    app.get("/openapi.json", include_in_schema=False)(_served)
    app.add_exception_handler(CancelWorkerError, problems.of_error)
    app.add_exception_handler(problems.Refused, problems.of_refusal)
    app.add_exception_handler(RequestValidationError, problems.of_validation)
    app.add_exception_handler(HTTPException, problems.of_http)
    app.add_exception_handler(Exception, problems.of_bug)
    web = parts.settings.web
    hosts = Hosts(frozenset(name.lower() for name in (web.host, *web.names)))
    app.add_middleware(Guard, parts=parts, hosts=hosts, tls=tls)
    return app


def _served() -> JSONResponse:
    """Return the OpenAPI document."""
    return JSONResponse(document())


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router)
    made = get_openapi(
        title="cancel-worker",
        version=__version__,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[],
    )
    schemas = made["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = problems.Problem.model_json_schema()
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    needed = verbs()
    for path, calls in made["paths"].items():
        for method, call in calls.items():
            call["responses"].pop("422", None)
            verb = needed.get((method.upper(), path))
            if verb:
                call["security"] = [{"token": []}]
                call["x-verb"] = verb
    return made


def verbs() -> dict[tuple[str, str], str]:
    """Return the verb that each call needs, by method and path; open calls are left out."""
    found: dict[tuple[str, str], str] = {}
    routes = [route for router in ROUTERS for route in router.routes]
    for route in routes:
        assert isinstance(route, APIRoute)  # noqa: S101  the routers have no other
        for needed in route.dependant.dependencies:
            if isinstance(needed.call, Needs):
                found |= {(method, route.path): needed.call.verb for method in route.methods or ()}
    return found
