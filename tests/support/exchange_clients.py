"""HTTP clients of the simulated exchanges.

They share no code with the adapters, so that a mistake in one cannot hide a
mistake in the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from worker.simulator import Simulator

KEY = "LSCE7NJG-JACRNTBX-D834R4UG-KMMTV8OP-PS1NHRBA"
SECRET = "da78a39e9dda31c399bcc293d997a347dc7fd0408cb5151931243a302b273ec3238510ea61e11f7c"
BITMART_KEY = "6591f7c2491db0a23a1d8ad6911c825e"
BITMART_SECRET = "8c08d9d5c3d15b105dbddaf96e427ac6"
MEMO = "mymemo"
# In the document's own text a web page ate the "&" before "timestamp".
QUERY = (
    "pair=btc_idr%2Ceth_idr&countdownTime=10000&timestamp=1578304294001&recvWindow=1578303937000"
)
QUERY_SIGN = (
    "29ff89378b9f33954b0f5319488190078f091c7723d886c5c2a4a0b06ef793d7"
    "d3b99155d63410203a21355e5e2757cb4e566adbd67ec37b8257a68d8c72877c"
)
BODY = b"pair=btc_idr,eth_idr&countdownTime=10000&timestamp=1578304294001&recvWindow=1578303937000"
BODY_SIGN = (
    "b4f03574d264ffbaa37eadd8460f50dbb9ae6f12d4852a46d8654d472838aaa1"
    "de99248e958c904333e61738a00462d49f32bcd3258d8a3defca8c73b8d60d09"
)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def ask(
    url: str,
    method: str = "GET",
    target: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send one request on a connection of its own."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request(method, parts.path + target, body, headers or {})
        reply = connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, names, reply.read())
    finally:
        connection.close()


class EverstrikeTrader:
    """Signs as the document's Python example does."""

    def __init__(self, sim: Simulator, key: str = KEY, secret: str = SECRET) -> None:
        sim.add_key("everstrike", key, secret)
        self.url = sim.url("everstrike")
        self.key = key
        self.secret = secret

    def post(self, path: str, body: bytes, signature: str | None = None) -> Answer:
        """Send a signed form."""
        mac = hmac.new(self.secret.encode(), body, hashlib.sha256).digest()
        signature = base64.b64encode(mac).decode() if signature is None else signature
        headers = {"x-api-key": self.key, "x-signature": signature}
        return ask(self.url, "POST", path, headers, body)

    def cancel(self, order_id: str) -> Answer:
        """Cancel one order."""
        return self.post("/auth/cancel", urlencode({"id": order_id}).encode())

    def get(self, target: str) -> Answer:
        """Ask a question."""
        return ask(self.url, "GET", target, {"x-api-key": self.key})


class IndodaxTrader:
    """Signs query and body; counts its own nonces."""

    def __init__(self, sim: Simulator, key: str = KEY, secret: str = SECRET) -> None:
        sim.add_key("indodax", key, secret)
        self.url = sim.url("indodax")
        self.key = key
        self.secret = secret
        self.nonce = 1_000

    def send(self, path: str, body: bytes) -> Answer:
        """Send signed parameters as they are."""
        sign = hmac.new(self.secret.encode(), body, hashlib.sha512).hexdigest()
        return ask(self.url, "POST", path, {"Key": self.key, "Sign": sign}, body)

    def countdown(self, **params: object) -> Answer:
        """Set a countdown, by default with the next nonce."""
        return self.send("/countdownCancelAll", self._form(params))

    def trade(self, method: str, **params: object) -> Answer:
        """Call a method of the trade API."""
        return self.send("", self._form({"method": method} | params))

    def _form(self, params: dict[str, object]) -> bytes:
        if "nonce" not in params and "timestamp" not in params:
            self.nonce += 1
            params["nonce"] = self.nonce
        return urlencode(params).encode()


class BitmartTrader:
    """Fetches a token and signs sorted parameters."""

    def __init__(self, sim: Simulator, key: str = BITMART_KEY, memo: str = MEMO) -> None:
        sim.add_key("bitmart", key, BITMART_SECRET, memo)
        self.sim = sim
        self.url = sim.url("bitmart")
        self.key = key
        self.memo = memo
        self.bearer = ""

    def authenticate(self, secret: str = BITMART_SECRET) -> Answer:
        """Fetch a token and keep it."""
        message = f"{self.key}:{secret}:{self.memo}"
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.key,
            "client_secret": hmac.new(
                secret.encode(), message.encode(), hashlib.sha256
            ).hexdigest(),
        }
        reply = ask(self.url, "POST", "/v2/authentication", body=urlencode(fields).encode())
        if reply.status == 200:
            self.bearer = reply.json["access_token"]
        return reply

    def get(self, target: str) -> Answer:
        """Ask a question, unsigned as the documents do."""
        return ask(self.url, "GET", target, self._headers())

    def cancel(self, order_id: str, ahead_ms: float = 0) -> Answer:
        """Cancel one order, with a timestamp that much ahead of the simulator's clock."""
        headers = self._headers(ahead_ms) | self._signed({"entrust_id": order_id})
        return ask(self.url, "DELETE", f"/v2/orders/{order_id}", headers)

    def cancel_all(self, **params: str) -> Answer:
        """Cancel a symbol and side."""
        headers = self._headers() | self._signed(params)
        return ask(self.url, "DELETE", f"/v2/orders?{urlencode(params)}", headers)

    def _headers(self, ahead_ms: float = 0) -> dict[str, str]:
        stamp = int(self.sim.now_ms() + ahead_ms)
        return {"X-BM-TIMESTAMP": str(stamp), "X-BM-AUTHORIZATION": f"Bearer {self.bearer}"}

    def _signed(self, params: dict[str, str]) -> dict[str, str]:
        message = urlencode(sorted(params.items()))
        mac = hmac.new(BITMART_SECRET.encode(), message.encode(), hashlib.sha256)
        return {"X-BM-SIGNATURE": mac.hexdigest()}
