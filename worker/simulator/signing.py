"""The exchanges' signatures, written from their documents."""

from __future__ import annotations

import base64
import hashlib
import hmac


def everstrike_signature(secret: str, body: bytes) -> str:
    """Sign a body: base64 of its HMAC-SHA256.

    "Requires a signed payload in HMAC-SHA256 form to be appended to the
    x-signature header. The signed payload must be base64-encoded."
    """
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def indodax_signature(secret: str, query: str, body: bytes) -> str:
    """Sign `totalParams` with HMAC-SHA512.

    "`totalParams` is defined as the `query string` concatenated with the
    `request body`." The text says to use the Key; its own vectors show that
    the secret is meant.
    """
    return hmac.digest(secret.encode(), query.encode("latin-1") + body, "sha512").hex()


def binance_signature(secret: str, payload: str) -> str:
    """Sign the parameters as they are sent: "query string concatenated with the body"."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


def indodax_v2_signature(secret: str, query: str, name: str) -> str:
    """Sign a query as it is sent, by the hash that one of the two documents names."""
    return hmac.digest(secret.encode(), query.encode(), name).hex()


def kraken_signature(secret: str, path: str, nonce: str, body: bytes) -> str:
    """Sign a form: HMAC-SHA512 of (URI path + SHA256(nonce + POST data)), all in base64."""
    digest = hashlib.sha256(nonce.encode() + body).digest()
    mac = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512)
    return base64.b64encode(mac.digest()).decode()


def okx_signature(secret: str, stamped: str, method: str, target: str, body: bytes) -> str:
    """Sign "timestamp + method + requestPath + body", where a query is part of the path."""
    message = f"{stamped}{method}{target}".encode() + body
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


def gate_signature(  # noqa: PLR0917
    secret: str, method: str, path: str, query: str, body: bytes, stamped: str
) -> str:
    """Sign five lines: method, path, query, hex of the body's SHA512, time; HMAC-SHA512."""
    hashed = hashlib.sha512(body).hexdigest()
    text = f"{method}\n{path}\n{query}\n{hashed}\n{stamped}"
    return hmac.digest(secret.encode(), text.encode("latin-1"), "sha512").hex()


def kucoin_signature(secret: str, stamped: str, method: str, target: str, body: bytes) -> str:
    """Sign "timestamp + method + endpoint + body"; an endpoint has its query."""
    message = f"{stamped}{method}{target}".encode() + body
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


def kucoin_passphrase(secret: str, passphrase: str) -> str:
    """Encrypt a passphrase "via HMAC-sha256 with API-Secret", as keys of version 2 do."""
    return base64.b64encode(hmac.digest(secret.encode(), passphrase.encode(), "sha256")).decode()


def bybit_signature(secret: str, message: bytes) -> str:
    """Sign "timestamp + api_key + recv_window + (queryString | jsonBodyString)"."""
    return hmac.digest(secret.encode(), message, "sha256").hex()


def deribit_signature(secret: str, message: str) -> str:
    """Sign five lines, each with its end: time, nonce, method, URI, body."""
    return hmac.digest(secret.encode(), message.encode("latin-1"), "sha256").hex()


def bitmart_signature(secret: str, message: str) -> str:
    """Sign sorted, urlencoded parameters, or the message of a token request."""
    return hmac.digest(secret.encode(), message.encode(), "sha256").hex()


def same(given: str, expected: str) -> bool:
    """Compare two signatures in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def fingerprint(token: str) -> str:
    """Name a token without giving it away."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]
