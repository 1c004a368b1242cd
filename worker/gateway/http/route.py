"""The way to a host as requests sets it up: certificates, proxies and source address."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from certifi import where
from requests.adapters import HTTPAdapter
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.ssl_ import create_urllib3_context

from worker.gateway.http.connection import POOLS, DeadlineConnection


class _Adapter(HTTPAdapter):
    """An adapter whose connections keep a deadline and come from one local address."""

    def __init__(self, egress_ip: str | None) -> None:
        self._source = {"source_address": (egress_ip, 0)} if egress_ip else {}
        super().__init__(pool_connections=16, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  signature of requests
        super().init_poolmanager(*args, **{**kwargs, **self._source})
        self.poolmanager.pool_classes_by_scheme = POOLS

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401  signature of requests
        cert: Any = None,  # noqa: ANN401  signature of requests
    ) -> Any:  # noqa: ANN401  signature of requests
        """Share one set of trusted certificates among all connections.

        Loading them takes longer than a handshake, and no deadline can end it.
        """
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, tls
        return host, {"cert_reqs": "CERT_REQUIRED", "ssl_context": _trusting(verify)}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401  signature of requests
        manager = super().proxy_manager_for(proxy, **kwargs, **self._source)
        manager.pool_classes_by_scheme = POOLS
        return manager


def route_to(
    url: str, *, egress_ip: str | None, verify: str | Literal[True], proxies: Mapping[str, str]
) -> Route:
    """Return the way to the host of a URL. Nothing is opened.

    Args:
        url: Its scheme, host and port are used.
        egress_ip: Local address to connect from.
        verify: File with the trusted certificates; True for those of certifi.
        proxies: By scheme, as requests has them.
    """
    adapter: Any = _Adapter(egress_ip)
    request = requests.PreparedRequest()
    request.method, request.url = "GET", url
    pool = adapter.get_connection_with_tls_context(request, verify, dict(proxies))
    if pool.proxy is not None:
        adapter.cert_verify(pool, url, verify, None)  # for a proxy that is reached over TLS
    return Route(pool, urlsplit(url).scheme)


class Route:
    """The way to one host: direct, or through a proxy.

    Args:
        pool: As urllib3 makes it.
        scheme: Of the host's URL.

    Attributes:
        connection: Closed at first; it may be opened again after a close.
        forward_headers: Headers for a proxy that forwards requests; None if there is
            no proxy, or it tunnels.
    """

    def __init__(self, pool: Any, scheme: str) -> None:  # noqa: ANN401  private in urllib3's types
        self._pool = pool
        self._tunnels = connection_requires_http_tunnel(pool.proxy, pool.proxy_config, scheme)
        forwards = pool.proxy is not None and not self._tunnels
        self.forward_headers: Mapping[str, str] | None = pool.proxy_headers if forwards else None
        self.connection: DeadlineConnection = pool._new_conn()  # noqa: SLF001  no public way

    def open(self) -> None:
        """Open the connection if it is closed, here or by the server."""
        connection = self.connection
        if not connection.is_connected:
            connection.close()
        if connection.sock is not None:
            return
        try:
            if self._tunnels:
                self._pool._prepare_proxy(connection)  # noqa: SLF001  no public way
            else:
                connection.connect()
        except BaseException:
            connection.close()
            raise


@cache
def _trusting(verify: str | Literal[True]) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(where() if verify is True else verify)
    return context
