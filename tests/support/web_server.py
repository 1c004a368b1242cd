"""The web process, run in this one, and clients of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.support.world import World
from worker.model.authority import Verb
from worker.store.api_tokens import ApiTokens
from worker.web.server import Server

READY_S = 60
TIMEOUT_S = 60
PATIENCE_MS = 10_000
"""How long the web process waits for Redis: a busy machine is no outage."""


class Client:
    """One HTTP client with a token, or with none."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.timeout_s = TIMEOUT_S
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Make a call."""
        options.setdefault("timeout", self.timeout_s)
        return self.session.request(method, self.url + path, json=body, **options)

    def get(self, path: str, *, status: int = 200, **query: Any) -> Any:
        """Return the body of a GET."""
        return _read(self.call("GET", path, params=query), status)

    def post(
        self, path: str, body: Any = None, *, status: int, headers: dict[str, str] | None = None
    ) -> Any:
        """Return the body of a POST."""
        return _read(self.call("POST", path, body, headers=headers), status)

    def delete(self, path: str, *, status: int = 204, **query: Any) -> Any:
        """Return the body of a DELETE."""
        return _read(self.call("DELETE", path, params=query), status)


def _read(reply: requests.Response, status: int) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json() if reply.content else None


class Web:
    """A web process and the world that it serves."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self.url = server.url
        self.made = 0

    def token(self, *verbs: Verb, accounts: tuple[str, ...] = ()) -> str:
        """Return a new token with these verbs, by default all."""
        self.made += 1
        made = ApiTokens(self.world.store()).create(
            f"t{self.made}", now_ms=1, accounts=accounts, verbs=frozenset(verbs or Verb)
        )
        assert made is not None
        return made

    def client(self, *verbs: Verb, accounts: tuple[str, ...] = ()) -> Client:
        """Return a client with a new token."""
        return Client(self.url, self.token(*verbs, accounts=accounts))


@contextmanager
def serving(
    world: World, *, patience_ms: int = PATIENCE_MS, behind_proxy: bool = False, **table: Any
) -> Iterator[Web]:
    """Serve a world on any free port; the probes are not served."""
    tables: dict[str, Any] = {"web": {"port": 0, **table}, "metrics": {"web_port": 0}}
    settings = world.settings(redis_timeout_ms=patience_ms, **tables)
    server = Server(settings, behind_proxy=behind_proxy)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: server.run(ready.set))
    thread.start()
    try:
        assert ready.wait(READY_S)
        yield Web(world, server)
    finally:
        server.stop()
        thread.join()
