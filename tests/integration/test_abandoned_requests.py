"""What was given up is not sent once the network is back."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from tests.support.hosts import FAR, Hosts
from tests.support.polling import eventually
from worker import clock
from worker.celery_app import make_app
from worker.config.settings import Http, Settings
from worker.gateway.http.transport import NEIGHBOR_MS, Transport
from worker.net.sockets import RESET_ON_CLOSE
from worker.store.embedded import server_binary
from worker.store.nonces import key_id

PORT = 8555
GIVE_UP_MS = 700
PATIENT_MS = 30_000
KINDS = ("http", "https", "redis")
DRAIN_MS = 5_000
"""For the kernel to close what is left: its timers come at 0.2, 0.4, 0.8, 1.6 s."""


@pytest.fixture
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    """Two hosts and a cable."""
    make = getattr(request, "param", Hosts)
    with make() as made:
        yield made


def told(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@dataclass
class Line:
    """A sender on one host and a server on the other."""

    hosts: Hosts
    kind: str
    near: subprocess.Popen[str]
    far: subprocess.Popen[str]
    ca_file: str = ""

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"{self.kind}://{FAR}:{PORT}" + ("/0" if self.kind == "redis" else "/path")

    def ask(self, body: str, deadline_ms: int, path: str = "") -> None:
        """Have the sender send something; do not wait for what comes of it."""
        order = {"do": self.kind, "url": self.url + path, "body": body, "deadline_ms": deadline_ms}
        if self.kind != "redis":
            order |= {"do": "http", "ca_file": self.ca_file}
        assert self.near.stdin is not None
        self.near.stdin.write(json.dumps(order) + "\n")

    def send(self, body: str, deadline_ms: int) -> str:
        """Have the sender send something; return what came of it."""
        self.ask(body, deadline_ms)
        return told(self.near)

    def arrived(self, body: str) -> bool:
        """Return whether the server has executed it; asked once for each that did."""
        if self.kind != "redis":
            return told(self.far) == body
        look = (
            "import redis, sys; print(redis.Redis(host=sys.argv[1], port=int(sys.argv[2])).keys())"
        )
        reader = self.hosts.python("far", "-c", look, FAR, str(PORT))
        assert reader.stdout is not None
        return key_id(body) in reader.stdout.read()

    def restart(self) -> None:
        """Start another sender."""
        self.near = self.hosts.python("near", "-m", "tests.support.near_host")
        assert told(self.near) == "ready"


@pytest.fixture(params=KINDS)
def line(request: pytest.FixtureRequest, hosts: Hosts, tmp_path: Path) -> Line:
    """A sender that has been answered once, over a connection that it keeps."""
    kind: str = request.param
    ca_file = ""
    if kind == "redis":
        options = ["--bind", FAR, "--port", str(PORT), "--protected-mode", "no", "--save", ""]
        far = hosts.run("far", server_binary(), *options, "--dir", str(tmp_path))
        assert far.stdout is not None
        eventually(lambda: "ready to accept" in told(far).lower())
    else:
        certificate: list[str] = []
        if kind == "https":
            authority, ca_file = trustme.CA(), str(tmp_path / "ca.pem")
            authority.cert_pem.write_to_path(ca_file)
            issued = authority.issue_cert(FAR)
            certificate = [str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")]
            issued.cert_chain_pems[0].write_to_path(certificate[0])
            issued.private_key_pem.write_to_path(certificate[1])
        far = hosts.python("far", "-m", "tests.support.far_host", str(PORT), *certificate)
        assert told(far) == "ready"
    near = hosts.python("near", "-m", "tests.support.near_host")
    assert told(near) == "ready"
    made = Line(hosts, kind, near, far, ca_file)
    assert made.send("first", GIVE_UP_MS if kind == "redis" else PATIENT_MS) in ("200", "done")
    assert made.arrived("first")
    return made


def assert_only_later_arrives(line: Line) -> None:
    """Connect the hosts again, and see that what was given up is not there before the next."""
    line.hosts.plug()
    eventually(lambda: line.send("later", GIVE_UP_MS) in ("200", "done"))
    assert line.arrived("later")
    if line.kind == "redis":
        assert not line.arrived("late")


def test_what_was_given_up_is_dropped(line: Line) -> None:
    """Once a call has ended without a reply, the kernel holds no byte of it."""
    line.hosts.unplug()
    assert line.send("late", GIVE_UP_MS) in ("ReplyLost", "StoreUnavailable")
    assert line.hosts.unsent_bytes() == 0
    assert_only_later_arrives(line)


def test_what_a_killed_process_had_sent_is_dropped(line: Line) -> None:
    """A process that is killed while it waits for a reply leaves nothing to the kernel."""
    line.hosts.unplug()
    line.ask("late", PATIENT_MS)
    eventually(line.hosts.unsent_bytes)
    line.near.kill()
    line.near.wait()
    assert line.hosts.unsent_bytes() == 0
    line.restart()
    assert_only_later_arrives(line)


def test_what_a_stopped_process_had_sent_is_dropped(line: Line) -> None:
    """A process that does not run past its deadline has its bytes dropped by the kernel."""
    line.hosts.unplug()
    line.ask("late", GIVE_UP_MS)
    eventually(line.hosts.unsent_bytes)
    line.near.send_signal(signal.SIGSTOP)
    eventually(lambda: line.hosts.unsent_bytes() == 0, within_ms=DRAIN_MS)
    line.hosts.plug()
    line.near.send_signal(signal.SIGCONT)
    assert told(line.near) in ("ReplyLost", "StoreUnavailable")
    assert_only_later_arrives(line)


@pytest.mark.parametrize("line", ["http", "https"], indirect=True)
def test_what_a_full_window_kept_back_is_dropped(line: Line) -> None:
    """Bytes that a server did not take in time are not given to it later."""
    assert line.send("x", PATIENT_MS) == "200"
    assert line.arrived("x")
    line.ask("x", PATIENT_MS, path="/stop-reading")
    assert told(line.near) == "200"
    line.ask("x" * 20_000_000, GIVE_UP_MS, path="/stop-reading")
    assert told(line.near) == "ReplyLost"
    assert line.hosts.unsent_bytes() == 0


class Unacquainted(Hosts):
    """Hosts that ask for each other's hardware address."""

    def __init__(self) -> None:
        super().__init__(known=False)


@pytest.mark.parametrize("hosts", [Unacquainted], indirect=True)
@pytest.mark.parametrize("line", ["http"], indirect=True)
def test_what_waits_for_a_hardware_address_is_dropped_within_3_s(line: Line) -> None:
    """The kernel gives up to ask for the address, and drops what it kept until then."""
    line.hosts.unplug()
    assert line.send("late", GIVE_UP_MS) == "ReplyLost"
    eventually(lambda: line.hosts.neighbor() in ("", "FAILED"), within_ms=NEIGHBOR_MS + 2_000)
    assert_only_later_arrives(line)


def test_connections_of_celery_drop_what_was_given_up(redis_url: str) -> None:
    """A message that a worker or beat failed to publish is not there later."""
    app = make_app(Settings(redis_url=SecretStr(redis_url)))
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        link = channel.client.connection_pool.get_connection()
        sock = link._sock  # noqa: SLF001
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == RESET_ON_CLOSE
        bound_ms = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert bound_ms == link.socket_timeout * 1_000
        link.disconnect()


def test_lateness_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bound on it, but not through a proxy."""
    url = "https://exchange.test/"
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    assert Transport(Http()).late_ms(url) == NEIGHBOR_MS
    assert Transport(Http(trust_env=True)).late_ms(url) is None
    monkeypatch.setattr("worker.net.sockets.USER_TIMEOUT", None)
    assert Transport(Http()).late_ms(url) is None


@pytest.mark.parametrize("line", ["http"], indirect=True)
def test_each_request_has_its_own_deadline(line: Line) -> None:
    """A short deadline of one request does not end a later one on the same connection."""
    assert line.send("short", 300) == "200"
    line.hosts.unplug()
    line.ask("patient", PATIENT_MS)
    eventually(line.hosts.unsent_bytes)
    until = clock.monotonic_ms() + 1_000
    eventually(lambda: clock.monotonic_ms() > until)
    line.hosts.plug()
    assert told(line.near) == "200"
