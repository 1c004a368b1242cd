"""Alerts reach Sentry over its own transport: few, grouped, and without a secret in them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from celery import Celery

from tests.support.attempts import Attempts
from tests.support.polling import eventually
from tests.support.sentry_server import FakeSentry, fake_sentry
from tests.support.world import KEYS, World
from worker import clock
from worker.model.jobs import State
from worker.model.outcomes import Outcome
from worker.telemetry import alerts, sentry
from worker.telemetry.alerts import REPEAT_MS, RESET_MS, AlertThrottle, alert
from worker.telemetry.logs import Mask
from worker.telemetry.sentry import MINUTE_MS, MONITOR, CheckIns

SECRET = "planted-secret-0123456789"


@pytest.fixture
def received() -> Iterator[FakeSentry]:
    """The alerts of this process go to a Sentry of its own."""
    with fake_sentry() as server:
        alerts._throttle = AlertThrottle()  # noqa: SLF001  as in a fresh process
        sentry.start(server.dsn, Mask([SECRET]))
        try:
            yield server
        finally:
            sentry_sdk.get_client().close()
            sentry_sdk.get_global_scope().set_client(None)


def events(server: FakeSentry) -> list[dict[str, Any]]:
    """Return all events, once all have arrived."""
    sentry_sdk.flush(5)
    return server.items("event")


def test_an_alert_arrives_without_secrets(received: FakeSentry) -> None:
    """The event names kind and account, and masks what the settings hold secret."""
    alert("dead letter", f"given up: {SECRET}", account="bm", detail=f"x {SECRET} y")
    (event,) = events(received)
    assert event["tags"]["alert"] == "dead letter"
    assert event["contexts"]["cancel_worker"]["account"] == "bm"
    assert event["fingerprint"] == ["dead letter", "", "bm"]
    assert SECRET not in b"".join(received.bodies).decode()


def test_an_error_arrives_with_its_trace_and_no_local_variable(received: FakeSentry) -> None:
    """Where it was raised is shown; what the variables there held is not."""
    held = f"held {SECRET[::-1]}"
    try:
        raise ValueError(f"about {SECRET}")  # noqa: TRY301
    except ValueError as error:
        alert("attempt crashed", "an attempt crashed", error, account=held[:2])
    (event,) = events(received)
    (value,) = event["exception"]["values"]
    assert value["type"] == "ValueError"
    assert value["stacktrace"]["frames"]
    assert all("vars" not in frame for frame in value["stacktrace"]["frames"])
    text = b"".join(received.bodies).decode()
    assert SECRET not in text
    assert event["contexts"]["cancel_worker"]["message"] == "an attempt crashed"


def test_an_outage_is_one_issue_and_few_events(received: FakeSentry) -> None:
    """Ten thousand dead letters of one account: one fingerprint, five events, each with a count."""
    for number in range(10_000):
        alert("dead letter", f"given up: {number}", account="bm", exchange="bitmart", job=number)
    alert("dead letter", "given up", account="ix", exchange="indodax")
    told = events(received)
    assert {tuple(event["fingerprint"]) for event in told} == {
        ("dead letter", "bitmart", "bm"),
        ("dead letter", "indodax", "ix"),
    }
    counts = [event["contexts"]["cancel_worker"]["times"] for event in told]
    assert counts == ["1", "10", "100", "1000", "10000", "1"]


def test_throttle_resets_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What continues is reported again, and what comes back is reported as new."""
    now = 1_000_000.0
    monkeypatch.setattr(clock, "monotonic_ms", lambda: now)
    throttle, cause = AlertThrottle(), ("dead letter", "bitmart", "bm")
    assert [throttle.admit(cause) for _ in range(11)] == [1, *[0] * 8, 10, 0]
    now += REPEAT_MS + 1
    assert throttle.admit(cause) == 12
    assert throttle.admit(cause) == 0
    now += RESET_MS + 1
    assert throttle.admit(cause) == 1


def test_half_a_surrogate_pair_reaches_sentry(
    received: FakeSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words of strangers may hold what UTF-8 cannot."""
    # What is logged would be part of the test's report, which cannot hold it either.
    monkeypatch.setattr(alerts, "log", logging.Logger("unheard"))  # noqa: LOG001
    alert("malformed message", "unknown account '\ud800'", detail="\udfff")
    (event,) = events(received)
    assert event["tags"]["alert"] == "malformed message"


def test_the_pulse_checks_in_once_a_minute(
    received: FakeSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often beat ticks; the check-in brings its monitor's schedule along."""
    now = 1_000_000.0
    monkeypatch.setattr(clock, "monotonic_ms", lambda: now)
    pulse = CheckIns()
    for _ in range(121):
        pulse.beat()
        now += MINUTE_MS / 60
    sentry_sdk.flush(5)
    told = received.items("check_in")
    assert len(told) == 3
    assert {(each["monitor_slug"], each["status"]) for each in told} == {(MONITOR, "ok")}
    schedule = told[0]["monitor_config"]["schedule"]
    assert schedule == {"type": "interval", "value": 1, "unit": "minute"}


def test_a_refused_account_is_a_lost_one(world: World, received: FakeSentry) -> None:
    """Its first refusal is an issue of its own, apart from others; its jobs wait."""
    attempts = Attempts(world)
    world.sim.set_faults({"indodax_not_authorized": 1.0}, exchange="indodax")
    jobs = [attempts.accept("it", "1"), attempts.accept("it", "2")]
    eventually(lambda: attempts.step("it", "w1"), what="the first is refused")
    while attempts.step("it", "w1"):
        pass
    assert {attempts.get(job).state for job in jobs} == {State.PENDING}
    assert Outcome.UNAUTHORIZED in {attempts.get(job).outcome for job in jobs}
    (event,) = events(received)
    assert event["fingerprint"] == ["credentials refused", "indodax", "it"]


def test_a_clock_apart_is_reported_once_for_its_exchange(
    world: World, received: FakeSentry
) -> None:
    """The first reply that shows it raises the alert; the next ones, also of others, do not."""
    world.sim.set_clock_skew(30_000)
    attempts = Attempts(world)
    for _ in range(3):
        (order_id,) = world.place("ev")
        attempts.run("ev", attempts.accept("ev", order_id))
    (event,) = events(received)
    assert event["fingerprint"] == ["clock skew", "everstrike", ""]
    assert "+" in event["contexts"]["cancel_worker"]["message"]


def test_a_refused_nonce_is_reported(world: World, received: FakeSentry) -> None:
    """With the account whose sequence was moved."""
    attempts = Attempts(world)
    (order_id,) = world.place("ix")
    world.sim.set_nonce(KEYS["ix"][1], 9 * 10**15)
    attempts.run("ix", attempts.accept("ix", order_id))
    assert {tuple(event["fingerprint"]) for event in events(received)} == {
        ("nonce refused", "indodax", "ix")
    }


def test_worker_and_beat_report_to_sentry(world: World) -> None:
    """Real processes: a failed task is one event, a dead letter another; beat checks in."""
    with fake_sentry() as server:
        secret = world.folder / "dsn"
        secret.write_text(server.dsn)
        secret.chmod(0o640)
        world.top["sentry_dsn_file"] = secret
        worker, beat = world.worker(), world.beat()
        assert f"chmod 600 {secret}" in worker.text()
        world.store().client.lpush("celery", b"rubbish")
        eventually(lambda: "malformed message" in server.tags(), what="the alert")
        eventually(lambda: server.items("check_in"), what="beat's check-in")
        # A task of Celery's own, which takes no such argument.
        client = Celery("stranger", broker=world.redis_url)
        client.send_task("celery.backend_cleanup", kwargs={"x": 1})
        eventually(lambda: "task failed" in server.tags(), what="the failed task")
        worker.stop()
        beat.stop()
    told = server.items("event")
    assert sorted(server.tags()) == ["malformed message", "task failed"], told
    (failed,) = [event for event in told if event["tags"]["alert"] == "task failed"]
    assert failed["exception"]["values"]
