"""JSON logs, one object a line, with every known secret masked."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

MASK = "***"
PIECE = 4_096
"""Bytes that Linux writes to a pipe atomically (`PIPE_BUF`)."""
SHORTEST_SECRET = 6
"""Shorter secrets are not masked: they would mask ordinary words."""
FIELDS = (
    "alert",
    "job",
    "kind",
    "account",
    "exchange",
    "order_id",
    "client_order_id",
    "attempt",
    "phase",
    "outcome",
    "detail",
    "took_ms",
)
OUTPUT = ("message", *FIELDS)
LINES = "lines"
"""Attribute of a record for several lines: for each, its message and fields."""
UNWRITTEN = "a record could not be written"
CHATTY = (
    "urllib3",
    "requests",
    "redis",
    "kombu",
    "amqp",
    "celery.beat",
    "celery.app.trace",
    "celery.worker.strategy",
)
"""Loggers limited to warnings: they log requests, headers or messages, or repeat the
attempt's own line."""

SILENCED = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")
"""Disabled loggers: they log URLs at every level."""


class Mask:
    """Replaces known secrets in text, including their Python, JSON and URL encodings."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = {
            form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)
        }
        self._secrets = sorted(kept, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` with the secrets masked."""
        if not text:  # the usual case
            return text
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def deep(self, value: Any) -> Any:  # noqa: ANN401  any JSON-like value
        """Return `value` with the secrets masked in every string."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {
                self(key) if isinstance(key, str) else key: self.deep(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return value


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object, or as several (`LINES`)."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask
        self._json = json.JSONEncoder(default=lambda value: mask(str(value)))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines."""
        head: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        bodies = record.__dict__.get(LINES) or (_body(record),)
        lines = [
            {**head, **{name: value for name, value in body.items() if value is not None}}
            for body in bodies
        ]
        if record.exc_info:
            lines[-1]["error"] = "".join(traceback.format_exception(*record.exc_info))
        # Mask before encoding: JSON escapes would hide a secret. Few lines contain one.
        values = "\0".join(map(str, chain.from_iterable(map(dict.values, lines))))
        if self._mask(values) != values:
            lines = self._mask.deep(lines)
        return "\n".join(map(self._json.encode, lines))


class WholeLines(logging.StreamHandler[TextIO]):
    """Writes whole lines in pieces that a pipe takes atomically.

    Several processes share one standard error: a longer write could be interleaved
    with another process's output.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line, or lines."""
        try:
            for piece in _pieces(self.format(record) + self.terminator):
                self.stream.write(piece)
                self.stream.flush()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001  as logging's own handlers do
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Report an unwritten record without its content, which may hold a secret."""
        line = {"level": "ERROR", "logger": record.name, "message": f"{UNWRITTEN}: {_failure()}"}
        with contextlib.suppress(Exception):
            self.stream.write(json.dumps(line) + self.terminator)
            self.stream.flush()


def _failure() -> str:
    error = sys.exc_info()[0]
    return error.__name__ if error else "unknown"


def _pieces(text: str) -> Iterator[str]:
    """Yield ASCII text in pieces of whole lines, of at most `PIECE` bytes or one line."""
    begin = 0
    while len(text) - begin > PIECE:
        end = text.rfind("\n", begin, begin + PIECE) + 1 or text.index("\n", begin) + 1
        yield text[begin:end]
        begin = end
    if begin < len(text):
        yield text[begin:]


def _body(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record that are logged."""
    given = {**record.__dict__, "message": _message(record)}
    return {name: given[name] for name in OUTPUT if name in given}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  logging would print the arguments unmasked
        return str(record.msg)


def _forms(secret: str) -> set[str]:
    data = secret.encode(errors="replace")
    return {
        secret,
        repr(secret)[1:-1],
        repr(data)[2:-1],
        json.dumps(secret)[1:-1],
        quote(data, safe=""),
        quote_plus(data),
    }


def set_up(level: str, secrets: Iterable[str] = ()) -> Mask:
    """Send all logs to standard error as JSON; return the mask in use."""
    mask = Mask(secrets)
    handler = WholeLines(sys.stderr)
    handler.setFormatter(JsonFormatter(mask))
    _silence_http()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return mask


def _silence_http() -> None:
    """Stop the HTTP libraries from logging requests at any log level.

    http.client prints each header if its debug level is set. urllib3 logs each URL, and
    as a warning if it cannot parse the reply.
    """
    vars(http.client)["print"] = lambda *_args, **_options: None
    for name in SILENCED:
        logging.getLogger(name).disabled = True
