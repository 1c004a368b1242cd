"""The one job that all systems do: sign an order's cancel as Everstrike asks for it."""

from __future__ import annotations

import base64
import hmac
from typing import Final
from urllib.parse import urlencode

API_KEY: Final = "bench-key-0123456789"
SECRET: Final = "bench-secret-0123456789"
PATH: Final = "/auth/cancel"


def signed(order_id: str) -> tuple[dict[str, str], bytes]:
    """Return the headers and body of a cancel."""
    body = urlencode({"id": order_id}).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-api-key": API_KEY,
        "x-signature": signature,
    }
    return headers, body
