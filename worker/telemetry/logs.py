"""Logs as one JSON object a line, with every known secret masked."""

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
"""Bytes that Linux writes to a pipe in one piece (`PIPE_BUF`)."""
SHORTEST_SECRET = 6
"""Shorter strings would mask ordinary words."""
FIELDS = (
    "alert",
    "job",
    "kind",
    "account",
    "exchange",
    "order_id",
    "attempt",
    "phase",
    "outcome",
    "detail",
    "took_ms",
)
SAID = ("message", *FIELDS)
LINES = "lines"
"""What a record holds that stands for several lines: for each its message and fields,
and nothing else."""
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
"""Loggers whose lines show requests, headers or messages, or repeat with every
message what the attempt's own line says."""

SILENCED = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")
"""Loggers that show URLs, whatever their level."""


class Mask:
    """Replaces known secrets in text, however Python, JSON or a URL writes them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = {
            form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)
        }
        self._secrets = sorted(kept, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets."""
        if not text:  # as most details are
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
    """One JSON object a line; a record may hold several (`LINES`)."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask
        self._json = json.JSONEncoder(default=lambda value: mask(str(value)))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines."""
        begins: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        told = record.__dict__.get(LINES) or (_said(record),)
        lines = [
            {**begins, **{name: value for name, value in said.items() if value is not None}}
            for said in told
        ]
        if record.exc_info:
            lines[-1]["error"] = "".join(traceback.format_exception(*record.exc_info))
        # Before it is JSON, where a quote in a secret would hide it. Hardly any line has one.
        values = "\0".join(map(str, chain.from_iterable(map(dict.values, lines))))
        if self._mask(values) != values:
            lines = self._mask.deep(lines)
        return "\n".join(map(self._json.encode, lines))


class WholeLines(logging.StreamHandler[TextIO]):
    """Writes whole lines, so few at once that no other process's come in between.

    A worker's processes share one standard error. What is longer than a pipe
    takes in one piece may be parted there by what another process writes.
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
        """Say that a record could not be written, and not, as logging would, what it holds."""
        said = {"level": "ERROR", "logger": record.name, "message": f"{UNWRITTEN}: {_failure()}"}
        with contextlib.suppress(Exception):
            self.stream.write(json.dumps(said) + self.terminator)
            self.stream.flush()


def _failure() -> str:
    error = sys.exc_info()[0]
    return error.__name__ if error else "unknown"


def _pieces(text: str) -> Iterator[str]:
    """Yield the lines of ASCII text in pieces of at most `PIECE`, or of one longer line."""
    begin = 0
    while len(text) - begin > PIECE:
        end = text.rfind("\n", begin, begin + PIECE) + 1 or text.index("\n", begin) + 1
        yield text[begin:end]
        begin = end
    if begin < len(text):
        yield text[begin:]


def _said(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says, without all else that it carries."""
    given = {**record.__dict__, "message": _message(record)}
    return {name: given[name] for name in SAID if name in given}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  else logging shows the arguments, unmasked
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
    """Send all logs to standard error as JSON; return the mask in force."""
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
    """Keep the HTTP libraries from showing requests, whoever turns their levels up.

    http.client prints each header once its debug level is set, ours or that of
    a library that we use; urllib3 logs each URL, and those whose replies it
    cannot parse as warnings.
    """
    vars(http.client)["print"] = lambda *_args, **_options: None
    for name in SILENCED:
        logging.getLogger(name).disabled = True
