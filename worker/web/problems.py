"""Errors as problem+json (RFC 9457), with the texts of the command line."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from worker.errors import (
    CancelWorkerError,
    InvalidCommand,
    StoreUnavailable,
    SwitchClearing,
    SwitchDisarmed,
    SwitchError,
    SwitchOverlap,
    SwitchReplaced,
    SwitchTripped,
    SwitchUnknown,
    UnknownAccount,
)
from worker.model.explained import explained
from worker.model.text import shortened

MEDIA = "application/problem+json"
RETRY_S = 1
"""When to ask again after an outage of Redis."""
KINDS: tuple[tuple[type[CancelWorkerError], HTTPStatus, str], ...] = (
    (UnknownAccount, HTTPStatus.NOT_FOUND, "unknown-account"),
    (SwitchOverlap, HTTPStatus.CONFLICT, "switch-overlap"),
    (InvalidCommand, HTTPStatus.BAD_REQUEST, "invalid-command"),
    (SwitchClearing, HTTPStatus.CONFLICT, "switch-clearing"),
    (SwitchTripped, HTTPStatus.CONFLICT, "switch-tripped"),
    (SwitchReplaced, HTTPStatus.CONFLICT, "switch-replaced"),
    (SwitchDisarmed, HTTPStatus.CONFLICT, "switch-disarmed"),
    (SwitchUnknown, HTTPStatus.NOT_FOUND, "unknown-switch"),
    (SwitchError, HTTPStatus.CONFLICT, "switch-state"),
    (StoreUnavailable, HTTPStatus.SERVICE_UNAVAILABLE, "redis-unavailable"),
)
"""By error, the more special first: status, and the end of the problem's type."""


class Problem(BaseModel):
    """An error reply.

    Attributes:
        type: URN of the kind of error, for programs.
        title: Name of the status.
        status: HTTP status.
        detail: What is wrong and how to fix it, for people.
    """

    type: str
    title: str
    status: int
    detail: str


class Refused(Exception):
    """A call that is answered with a problem before anything is done."""

    def __init__(
        self, status: HTTPStatus, kind: str, detail: str, *, retry_ms: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.retry_ms = retry_ms


def not_found(kind: str, detail: str) -> Refused:
    """Return the refusal of something that does not exist."""
    return Refused(HTTPStatus.NOT_FOUND, kind, detail)


def problem(
    status: HTTPStatus, kind: str, detail: str, *, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem as a reply."""
    body = Problem(
        type=f"urn:cancel-worker:{kind}", title=status.phrase, status=status, detail=detail
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA)


def of_error(_request: Request, error: Exception) -> JSONResponse:
    """Return the reply to an error of this program."""
    assert isinstance(error, CancelWorkerError)  # noqa: S101  registered for it alone
    for type_, status, kind in KINDS:
        if isinstance(error, type_):
            headers = {}
            if isinstance(error, SwitchClearing):
                headers["Retry-After"] = _seconds(error.retry_after_ms)
            if isinstance(error, StoreUnavailable):
                headers["Retry-After"] = str(RETRY_S)
            return problem(status, kind, _explained(error), headers=headers)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "see the log")


def of_refusal(_request: Request, error: Exception) -> JSONResponse:
    """Return the reply to a refused call."""
    assert isinstance(error, Refused)  # noqa: S101  registered for it alone
    headers = {}
    if error.retry_ms is not None:
        headers["Retry-After"] = _seconds(error.retry_ms)
    if error.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(error.status, error.kind, error.detail, headers=headers)


def of_validation(_request: Request, error: Exception) -> JSONResponse:
    """Return the reply to a body or query that is not as documented; it repeats no value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it alone
    first = error.errors()[0]
    return problem(HTTPStatus.BAD_REQUEST, "invalid-command", _located(first))


def of_http(_request: Request, error: Exception) -> JSONResponse:
    """Return the reply to a path or method that does not exist."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it alone
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers) if error.headers else None
    return problem(status, "http", status.phrase.lower(), headers=headers)


def of_bug(_request: Request, _error: Exception) -> JSONResponse:
    """Return the reply to an unexpected error; its text may hold a secret."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "internal error; see the log")


def _located(error: dict[str, Any]) -> str:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    message = str(error["msg"]).removeprefix("Value error, ")
    return shortened(f"{'.'.join(place)}: {message}" if place else message)


def _explained(error: CancelWorkerError) -> str:
    if isinstance(error, SwitchClearing):
        return f"{error}; clear_wait_ms waits for it"
    return explained(error)


def _seconds(ms: int) -> str:
    return str(max(1, math.ceil(ms / 1_000)))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these error replies as OpenAPI documents them."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
