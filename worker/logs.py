"""Logs as one JSON object a line, with every known secret masked."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

MASK = "***"
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


class Mask:
    """Replaces known secrets in text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._secrets = sorted(kept, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def deep(self, value: Any) -> Any:  # noqa: ANN401  any JSON-like value
        """Return `value` with the secrets masked in every string."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self.deep(key): self.deep(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return value


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for field in FIELDS:
            value = record.__dict__.get(field)
            if value is not None:
                line[field] = value
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return self._mask(json.dumps(line, default=str))


def set_up(level: str, secrets: Iterable[str] = ()) -> Mask:
    """Send all logs to standard error as JSON; return the mask in force."""
    mask = Mask(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(mask))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # It logs each URL it cannot parse the reply of.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return mask
