"""Redis behind TLS, for the store and for the broker, with Sentinels and without."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.sentinels import MASTER, OPS, Node
from tests.support.tls_front import tls_front
from worker import Producer, StoreUnavailable
from worker.celery_app import make_app
from worker.config.settings import Settings
from worker.errors import SettingsError
from worker.store.embedded import EmbeddedRedis

PASSWORD = "Zk9-planted-0123456789"


@dataclass
class Secured:
    """A Redis behind TLS that asks for a certificate, and files for a client of it."""

    port: int
    plain_port: int
    folder: Path
    context: ssl.SSLContext

    def options(self, **changed: str) -> str:
        """Return the query of a URL."""
        named = {"ssl_ca_certs": "ca", "ssl_certfile": "cert", "ssl_keyfile": "key", **changed}
        return "&".join(f"{name}={self.folder / file}" for name, file in named.items() if file)


@pytest.fixture
def secured(redis_server: EmbeddedRedis, redis_url: str, tmp_path: Path) -> Iterator[Secured]:
    """TLS in front of the suite's Redis."""
    assert redis_url
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(tmp_path / "ca")
    stranger.cert_pem.write_to_path(tmp_path / "other-ca")
    for name, issuer in (("", authority), ("other-", stranger)):
        own = issuer.issue_cert("client.example.org")
        own.private_key_pem.write_to_path(tmp_path / f"{name}key")
        own.cert_chain_pems[0].write_to_path(tmp_path / f"{name}cert")
    with tls_front(redis_server.port, context) as port:
        yield Secured(port, redis_server.port, tmp_path, context)


def settings(url: str) -> Settings:
    """Return settings on that Redis."""
    # TLS through two relays takes longer than the default on a loaded machine.
    return Settings(
        redis_url=url, redis_timeout_ms=5_000, accounts={"ev": {"exchange": "everstrike"}}
    )


def refused(url: str) -> str:
    """Return the error text that a producer gets."""
    with pytest.raises(StoreUnavailable) as caught:
        Producer(settings(url)).cancel("ev", "a1")
    text = str(caught.value)
    assert PASSWORD not in text
    assert "\n" not in text
    return text


def assert_broker_works(url: str) -> None:
    """Celery reaches it with the same URL."""
    app = make_app(settings(url))
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        channel: Any = connection.default_channel
        assert channel.client.ping()


def test_store_and_broker_speak_tls(secured: Secured) -> None:
    """With the certificates that the URL names."""
    url = f"rediss://127.0.0.1:{secured.port}/0?{secured.options()}"
    assert Producer(settings(url)).cancel("ev", "a1").fresh
    assert_broker_works(url)


def test_a_certificate_that_cannot_be_trusted_is_one_clear_line(secured: Secured) -> None:
    """Of another authority, for another name, or none that is known."""
    at = f"rediss://:{PASSWORD}@127.0.0.1:{secured.port}/0"
    assert "certificate is refused: " in refused(f"{at}?{secured.options(ssl_ca_certs='other-ca')}")
    assert "certificate is refused: " in refused(at)
    elsewhere = f"rediss://localhost:{secured.port}/0?{secured.options()}"
    assert "Hostname mismatch" in refused(elsewhere)
    assert Producer(settings(f"{elsewhere}&ssl_check_hostname=false")).cancel("ev", "b1").fresh


def test_a_server_that_refuses_the_client_is_named(secured: Secured) -> None:
    """Its own certificate is missing, or another authority's."""
    at = f"rediss://127.0.0.1:{secured.port}/0"
    refused(f"{at}?{secured.options(ssl_certfile='', ssl_keyfile='')}")
    refused(f"{at}?{secured.options(ssl_certfile='other-cert', ssl_keyfile='other-key')}")


def test_tls_where_there_is_none_is_named(secured: Secured) -> None:
    """And the other way round; neither hangs."""
    assert refused(f"rediss://127.0.0.1:{secured.plain_port}/0")
    assert refused(f"redis://127.0.0.1:{secured.port}/0")


def test_a_missing_file_is_a_mistake_in_the_settings(secured: Secured) -> None:
    """It names the option and the file."""
    url = f"rediss://127.0.0.1:{secured.port}/0?{secured.options(ssl_keyfile='nowhere')}"
    with pytest.raises(SettingsError, match=r"redis_url: ssl_keyfile: no such file: .*nowhere"):
        Producer(settings(url))


def test_sentinels_and_their_master_behind_tls(secured: Secured, tmp_path: Path) -> None:
    """The same options hold for both."""
    text = (OPS / "sentinel.conf").read_text().replace("@MASTER_HOST@", "127.0.0.1")
    text = text.replace("@MASTER_PORT@", str(secured.port)).replace("port 26379", "")
    with (
        Node(tmp_path / "sentinel", text, "--sentinel") as sentinel,
        tls_front(sentinel.port, secured.context) as port,
    ):
        at = f"sentinel://127.0.0.1:{port}/0?master={MASTER}&ssl=true"
        url = f"{at}&{secured.options()}"
        assert Producer(settings(url)).cancel("ev", "a1").fresh
        assert_broker_works(url)
        untrusted = f"{at}&{secured.options(ssl_ca_certs='other-ca')}"
        assert "certificate is refused" in refused(untrusted)
