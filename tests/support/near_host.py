"""The near end of a cable: reads what to send as lines of JSON, prints what came of each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from worker.config.settings import Http, Settings
from worker.errors import CancelWorkerError
from worker.gateway.http.transport import Transport
from worker.model.wire import Request
from worker.store.nonces import Nonces
from worker.store.opening import build_store


class Near:
    """What sends."""

    def __init__(self) -> None:
        self._transports: dict[str, Transport] = {}
        self._nonces: dict[str, Nonces] = {}

    def http(self, url: str, body: str, deadline_ms: int, ca_file: str = "") -> str:
        """Send a request; the same connection is used while it lasts."""
        if url not in self._transports:
            self._transports[url] = Transport(Http(ca_file=Path(ca_file) if ca_file else None))
        request = Request("POST", url, {}, body.encode())
        reply = self._transports[url].send(request, egress_ip=None, deadline_ms=deadline_ms)
        return str(reply.status)

    def redis(self, url: str, body: str, deadline_ms: int) -> str:
        """Allocate a nonce for a key of that name."""
        if url not in self._nonces:
            settings = Settings(redis_url=SecretStr(url), redis_timeout_ms=deadline_ms)
            self._nonces[url] = Nonces(build_store(settings))
        self._nonces[url].allocate(body)
        return "done"


def main() -> None:
    """Do what is asked until the input is closed."""
    near = Near()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        ask = json.loads(line)
        do = getattr(near, ask.pop("do"))
        try:
            came = do(**ask)
        except CancelWorkerError as error:
            came = type(error).__name__
        print(came, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
