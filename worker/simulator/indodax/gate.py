"""Who may call Indodax: key, signature, whitelist, then nonce or timestamp."""

from __future__ import annotations

import re
from collections.abc import Mapping

from worker.simulator.exchange import Call, Key, Verdict
from worker.simulator.forms import whole_number
from worker.simulator.indodax.replies import refuse, stale_nonce
from worker.simulator.options import Options
from worker.simulator.signing import indodax_signature, same

RECV_WINDOW_MS = 5_000
AHEAD_MS = 1_000
_SIGN = re.compile(r"[0-9a-f]{128}")


class Gate:
    """Checks in the order of this class; a request that passes has used its nonce.

    The order of the checks is not documented.
    """

    def __init__(
        self, options: Options, keys: Mapping[str, Key], last_nonce: dict[str, int]
    ) -> None:
        self._last_nonce = last_nonce
        self._options = options
        self._keys = keys

    def check(self, call: Call) -> Verdict | None:
        """Return the refusal, or None to let the request in."""
        return self._check_signature(call) or self._check_freshness(call)

    def _check_signature(self, call: Call) -> Verdict | None:
        headers = call.request.headers
        if not headers.get("key"):
            return refuse("key", "key_not_found", "API key not found in header")
        if not headers.get("sign"):
            return refuse("signature", "sign_not_found", "Sign not found in header.")
        # "The `signature` is not case sensitive."
        given = headers["sign"].lower()
        if not _SIGN.fullmatch(given):
            return refuse("signature", "internal_server_error", "Validation signature failed.")
        key = self._keys.get(headers["key"])
        if key is None:
            return refuse("key", "bad_sign", "Invalid credentials. Bad sign.")
        if not same(given, indodax_signature(key.secret, call.request.query, call.request.body)):
            return refuse("signature", "bad_sign", "Invalid credentials. Bad sign.")
        return None

    def check_whitelist(self, call: Call) -> Verdict | None:
        """Apply "Only whitelisted user IDs can use this feature", off by default."""
        whitelist = self._options.indodax_whitelist
        if whitelist is None or call.reading.api_key in whitelist:
            return None
        return refuse("whitelist", "not_authorized", "Your user ID is not on the whitelist")

    def _check_freshness(self, call: Call) -> Verdict | None:
        """Apply "either the `nonce` field or the `recvWindow` and `timestamp` fields".

        That both together, or neither, are refused is inferred.
        """
        fields = call.reading.fields
        nonce, timestamp = fields.get("nonce"), fields.get("timestamp")
        if nonce and timestamp:
            return refuse("nonce", "bad_request", "Use either nonce or timestamp")
        if nonce:
            return self._check_nonce(call, nonce)
        if timestamp:
            return self._check_timestamp(call)
        return refuse("nonce", "invalid_nonce", "Nonce or timestamp is required")

    def _check_nonce(self, call: Call, given: str) -> Verdict | None:
        """Take only a nonce above the key's highest: equal is refused, gaps are fine."""
        api_key = call.reading.api_key
        last = self._last_nonce.get(api_key, 0)
        nonce = call.reading.nonce
        if nonce is None or nonce <= last:
            return Verdict(stale_nonce(last, given), refusal="nonce")
        self._last_nonce[api_key] = nonce
        return None

    def _check_timestamp(self, call: Call) -> Verdict | None:
        """Reject `timestamp >= server + 1000` and `server - timestamp > recvWindow`.

        The comparison is documented for the other endpoints of this host; its
        error code and text are inferred.
        """
        timestamp = call.reading.timestamp_ms
        window = whole_number(call.reading.fields.get("recvWindow") or str(RECV_WINDOW_MS))
        server = int(call.now_ms)
        if (
            timestamp is None
            or window is None
            or timestamp >= server + AHEAD_MS
            or server - timestamp > window
        ):
            return refuse("timestamp", "invalid_timestamp", "Invalid timestamp")
        return None
