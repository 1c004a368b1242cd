"""Settings of what this program serves: metrics, the HTTP API and the page."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from worker.config.accounts import Table


class Metrics(Table):
    """Where worker, Celery beat and web serve metrics and health.

    Port 0 turns it off. No secret is shown and no password is required: every
    client that reaches the port sees accounts, pairs and order ids.

    Attributes:
        names: Further host names, with a dot, under which browsers may open it.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=9464, ge=0, le=65_535)
    beat_port: int = Field(default=9465, ge=0, le=65_535)
    web_port: int = Field(default=9466, ge=0, le=65_535)
    names: tuple[str, ...] = ()

    @field_validator("names", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Accept comma-separated names, as an environment variable gives them."""
        return _listed(value)


class Web(Table):
    """`cancel-worker web`: the HTTP API and the control page.

    Attributes:
        actions: Whether the page may act; the API is not affected.
        behind_proxy: Whether a proxy in front ends TLS and sets `X-Forwarded-For`.
        names: Further host names, with a dot, under which browsers may open it.
        requests_per_s: Calls of one token a second; twice as many at once.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=9480, ge=0, le=65_535)
    actions: bool = False
    behind_proxy: bool = False
    cert_file: Path | None = None
    key_file: Path | None = None
    names: tuple[str, ...] = ()
    requests_per_s: int = Field(default=100, gt=0)

    @field_validator("names", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Accept comma-separated names, as an environment variable gives them."""
        return _listed(value)


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value
