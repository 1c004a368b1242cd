"""The simulator moved from another process."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

import worker.simulator
from tests.support.exchange_clients import (
    BITMART_KEY,
    KEY,
    BitmartTrader,
    EverstrikeTrader,
    IndodaxTrader,
    ask,
)
from worker.simulator import EXCHANGES, Simulator, SimulatorClient
from worker.simulator.control import OPERATIONS

NOT_REMOTE = {"options", "start", "stop"}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator whose clock is stopped until it is stepped."""
    with Simulator(clock=lambda: 1_700_000_000_000.0) as running:
        yield running


@pytest.fixture
def client(sim: Simulator) -> SimulatorClient:
    return SimulatorClient(sim.base_url())


def _public(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in vars(kind).items()
        if not name.startswith("_") and callable(member) and name not in NOT_REMOTE
    }


def test_the_client_has_the_same_methods() -> None:
    """Name for name and parameter for parameter."""
    assert _public(SimulatorClient) == _public(Simulator)


def test_every_operation_is_documented() -> None:
    """The package's table names each, and each is a method."""
    assert worker.simulator.__doc__ is not None
    assert {name for name in OPERATIONS if f"\n`{name}`" not in worker.simulator.__doc__} == set()
    assert set(_public(Simulator)) - {"base_url"} == OPERATIONS


def test_orders_through_the_client(sim: Simulator, client: SimulatorClient) -> None:
    """What one places, both see alike."""
    client.add_key("everstrike", KEY, "secret")
    ids = client.place("everstrike", KEY, pair="A_PERP", side="SELL", count=2)
    assert client.place("everstrike", KEY, order_ids=["own"]) == ["own"]
    assert client.fill("everstrike", ids[0]) is True
    assert client.fill("everstrike", ids[0]) is False
    assert client.order("everstrike", ids[0]).closed_by == "fill"
    assert client.orders("everstrike") == sim.orders("everstrike")
    assert client.orders("everstrike", "nobody") == []
    assert client.orders("everstrike", KEY)[1].side == "sell"


def test_faults_and_journal_through_the_client(sim: Simulator, client: SimulatorClient) -> None:
    """Faults are set and arrivals read from afar."""
    trader = EverstrikeTrader(sim)
    ids = client.place("everstrike", KEY, count=3)
    client.fault_next("throttle", exchange="everstrike", times=1, paths=["cancel"])
    client.set_faults({"everstrike_503": 1.0}, exchange="everstrike", paths=["/auth"])
    assert [trader.cancel(order_id).status for order_id in ids[:2]] == [429, 503]
    client.set_faults({})
    client.fill_race("everstrike", 1.0)
    trader.cancel(ids[2])
    assert client.order("everstrike", ids[2]).status == "filled"
    assert client.journal() == sim.journal()
    assert client.journal(after=2) == sim.journal()[2:]
    assert client.journal()[0].order_ids == (ids[0],)


def test_time_through_the_client(sim: Simulator, client: SimulatorClient) -> None:
    """Clock, skew and countdowns."""
    trader = IndodaxTrader(sim)
    (order_id,) = client.place("indodax", KEY)
    trader.countdown(pair="btc_idr", countdownTime=1_000)
    assert client.timers() == sim.timers()
    client.step_clock(1_000)
    assert client.now_ms() == sim.now_ms() == 1_700_000_001_000.0
    assert client.order("indodax", order_id).closed_by == "countdown"
    client.set_clock_skew(-5_000)
    assert ask(client.url("bitmart"), "GET", "/v2/time").json["server_time"] == 1_699_999_996_000


def test_credentials_through_the_client(sim: Simulator, client: SimulatorClient) -> None:
    """Nonces, tokens and options."""
    trader, bitmart = IndodaxTrader(sim), BitmartTrader(sim)
    client.set_nonce(KEY, 10**6)
    assert trader.countdown(pair="btc_idr").json["error_code"] == "invalid_nonce"
    bitmart.authenticate()
    client.expire_tokens()
    assert bitmart.cancel("1").status == 401
    client.set_option("indodax_whitelist", [BITMART_KEY])
    assert sim.options.indodax_whitelist == (BITMART_KEY,)
    client.reset()
    assert sim.journal() == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_urls_are_the_same(sim: Simulator, client: SimulatorClient, name: str) -> None:
    """The client knows where the exchanges are."""
    assert client.url(name) == sim.url(name)
    assert client.base_url() == sim.base_url()


def test_errors_are_the_same(client: SimulatorClient) -> None:
    """What a simulator refuses here, it refuses from afar."""
    with pytest.raises(ValueError, match="no exchange"):
        client.orders("nowhere")
    with pytest.raises(ValueError, match="no exchange"):
        client.url("nowhere")
    with pytest.raises(LookupError, match="no order"):
        client.order("bitmart", "1")
    with pytest.raises(ValueError, match="no option"):
        client.set_option("colour", "red")
    with pytest.raises(ValueError, match="not the http URL"):
        SimulatorClient("https://example.org")


@pytest.mark.parametrize(
    ("operation", "body", "status"),
    [
        ("stop", b"{}", 404),
        ("__class__", b"{}", 404),
        ("place", b"{}", 400),
        ("place", b"[1", 400),
        ("place", b"[1]", 400),
        ("timers", b"", 200),
    ],
)
def test_plain_http(sim: Simulator, operation: str, body: bytes, status: int) -> None:
    """Any HTTP client will do; mistakes are answered in JSON."""
    reply = ask(sim.base_url(), "POST", f"/_sim/{operation}", body=body)
    assert reply.status == status
    assert set(reply.json) == ({"result"} if status == 200 else {"error", "kind"})


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "worker.simulator", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        try:
            yield it
        finally:
            it.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_a_process_of_its_own(number: signal.Signals) -> None:
    """It prints where it listens, serves, and ends cleanly on a signal."""
    with _process("--seed", "7") as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        assert set(urls) == {"control", *EXCHANGES}
        client = SimulatorClient(urls["control"])
        client.add_key("bitmart", "key", "secret")
        assert len(client.place("bitmart", "key", count=3)) == 3
        assert ask(urls["bitmart"], "GET", "/v2/time").status == 200
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_a_taken_port_is_one_clear_line(sim: Simulator) -> None:
    """The process says what is wrong and fails."""
    port = urlsplit(sim.base_url()).port
    with _process("--port", str(port)) as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
