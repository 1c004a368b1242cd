"""Why TLS with Redis failed."""

from __future__ import annotations

import ssl


def tls_error(error: BaseException | None) -> str:
    """Return why TLS failed, if that is what an error is about."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {error.verify_message}; fix ssl_ca_certs"
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "broken off").lower().replace("_", " ")
            return f"{reason}; see rediss:// and the ssl_ options of redis_url"
        error = error.__cause__ or error.__context__
    return ""
