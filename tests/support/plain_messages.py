"""Celery messages as clients that are not ours write them."""

from __future__ import annotations

import base64
import json


def envelope(body: object, /, **changes: object) -> dict[str, object]:
    """Return a message as kombu writes it."""
    headers = {
        "task": "worker.cancel",
        "id": "0b0d",
        "lang": "py",
        "argsrepr": "",
        "kwargsrepr": "",
    }
    properties = {
        "delivery_tag": "d-1",
        "delivery_info": {"exchange": "", "routing_key": "celery"},
        "body_encoding": "base64",
        "correlation_id": "0b0d",
    }
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    return {
        "body": encoded,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": properties,
        **changes,
    }


SOON = {"jobs": {"unknown_account_ms": 0}}
"""A message of an unknown account waits for no other worker."""
