"""Each count, made where it is decided: by the real parts, seen in the registry."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

from tests.support.attempts import Attempts
from tests.support.pages import get, served_at
from tests.support.polling import eventually
from tests.support.reconcilers import API_KEYS, Keeping, stand
from tests.support.world import KEYS, World
from worker import Outcome, clock
from worker.factory import build_dispatcher
from worker.messaging import runtime
from worker.model.names import lane_of, switch_lane
from worker.telemetry import metrics

SOURCE = Path(metrics.__file__).parents[1]
TIGHT = {"orders": {"max_requests": 1, "window_ms": 60_000}}
Rise = Callable[..., float]


@pytest.fixture
def rise() -> Rise:
    """Return by how much a sample has risen since the test began."""
    before = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
    }

    def risen(name: str, **labels: str) -> float:
        now = metrics.REGISTRY.get_sample_value(f"cancel_worker_{name}", labels) or 0.0
        return now - before.get((f"cancel_worker_{name}", *sorted(labels.items())), 0.0)

    return risen


def test_a_cancel_is_counted_and_timed(world: World, rise: Rise) -> None:
    """By exchange and outcome; to its first send and to its proof, on Redis's clock."""
    (order_id,) = world.place("ev")
    engine = build_dispatcher(world.settings())
    engine.register()
    ticket = world.producer().cancel("ev", order_id)
    late_ms = world.ledger().now_ms() + 30
    eventually(lambda: world.ledger().now_ms() >= late_ms, what="some waiting")
    engine.run_job(ticket.id, lane=lane_of("everstrike", "ev"))
    assert rise("attempts_total", exchange="everstrike", outcome="CANCELED") == 1
    for name in ("send_delay_seconds", "proof_delay_seconds"):
        assert rise(f"{name}_count", exchange="everstrike") == 1
        assert 0.03 <= rise(f"{name}_sum", exchange="everstrike") < 20
    sent, proven = (
        rise(f"{name}_delay_seconds_sum", exchange="everstrike") for name in ("send", "proof")
    )
    assert sent <= proven + 0.002  # ms of Redis against a finer clock
    assert rise("dead_letters_added_total", exchange="everstrike") == 0


def test_a_job_is_sent_once_and_attempted_often(world: World, rise: Rise) -> None:
    """An order that never was: the first send alone is timed, and nothing is proven."""
    jobs = {"missing_max_ms": 1, "backoff_base_ms": 1, "backoff_max_ms": 5}
    engine = build_dispatcher(world.settings(jobs=jobs))
    engine.register()
    ticket = world.producer().cancel("ev", "404404")

    def ended() -> bool:
        engine.run_exchange("everstrike")
        return ticket.result().state != "pending"

    eventually(ended, what="given up")
    result = ticket.result()
    assert result.state == "dead"
    counted: float = sum(
        rise("attempts_total", exchange="everstrike", outcome=outcome) for outcome in Outcome
    )
    assert counted == result.attempts > 1
    assert rise("send_delay_seconds_count", exchange="everstrike") == 1
    assert rise("proof_delay_seconds_count", exchange="everstrike") == 0
    assert rise("dead_letters_added_total", exchange="everstrike") == 1
    assert rise("alerts_total", kind="dead letter", exchange="everstrike") == 1


def test_a_wait_for_a_slot_is_counted_and_is_no_attempt(world: World, rise: Rise) -> None:
    """With how long it is, under the limit's name."""
    world.limits = {"bm": TIGHT}
    engine = build_dispatcher(world.settings())
    engine.register()
    world.producer().cancel_many("bm", world.place("bm", 2))
    engine.run_exchange("bitmart")
    assert rise("attempts_total", exchange="bitmart", outcome="CANCELED") == 1
    assert rise("attempts_total", exchange="bitmart", outcome="UNKNOWN") == 0
    labels = {"exchange": "bitmart", "limit": "orders"}
    assert rise("limit_wait_seconds_count", **labels) == 1
    assert 30 < rise("limit_wait_seconds_sum", **labels) <= 60.1


def test_a_refused_nonce_of_a_cancel_is_counted(world: World, rise: Rise) -> None:
    """By account."""
    attempts = Attempts(world)
    attempts.run("ix", attempts.accept("ix", world.place("ix")[0]))
    world.sim.set_nonce(KEYS["ix"][1], (attempts.arrivals("cancel")[-1].nonce or 0) + 10**6)
    attempts.run("ix", attempts.accept("ix", world.place("ix")[0]))
    assert rise("nonce_refusals_total", exchange="indodax", account="ix") == 1
    assert rise("alerts_total", kind="nonce refused", exchange="indodax") == 1


def test_a_keeper_counts_refused_nonces_and_waits(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, rise: Rise
) -> None:
    """Of its countdowns."""
    with stand(redis_url, monkeypatch) as keeping:
        keeping.sim.set_nonce(API_KEYS["ix"], 17 * 10**16)
        keeping.board.arm("ix", pairs=["a_x"])
        keeping.settle()
        assert rise("nonce_refusals_total", exchange="indodax", account="ix") == 1
        fill(keeping)
        assert rise("limit_wait_seconds_count", exchange="indodax", limit="countdown") >= 1


def fill(keeping: Keeping) -> None:
    """Arm scopes too far apart to share requests, until the budget has no slot left."""
    worker = keeping.worker()
    for number in range(12):
        keeping.board.arm("ix", pairs=[f"p{number}_x"], timeout_ms=8_000 * (number + 1))
        worker.tend("ix")


def test_a_trip_is_counted_with_its_lateness(world: World, rise: Rise) -> None:
    """From the deadline to its cancels being accepted."""
    engine = build_dispatcher(world.settings())
    engine.register()
    world.producer().arm("ev", order_ids=["a1"], timeout_ms=1_000)
    eventually(lambda: lane_due(world), what="the deadline")
    engine._run_switches(f"{lane_of('everstrike', 'ev')}:switch")  # noqa: SLF001  what a sweep calls
    engine._membership.heartbeat()  # noqa: SLF001  same
    assert rise("switch_lateness_seconds_count", exchange="everstrike") == 1
    assert 0 <= rise("switch_lateness_seconds_sum", exchange="everstrike") < 30
    assert rise("alerts_total", kind="switch tripped", exchange="everstrike") == 1
    engine.stop()


def lane_due(world: World) -> bool:
    """Return whether a lane of switches has come due."""
    ledger = world.ledger()
    lanes = [switch_lane(lane_of(exchange, alias)) for alias, (exchange, *_) in KEYS.items()]
    return any(at_ms <= ledger.now_ms() for at_ms in ledger.looks_ms(lanes).values())


def test_a_malformed_message_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, rise: Rise
) -> None:
    """Under no exchange."""
    monkeypatch.setenv("WORKER_CONFIG", str(world.config()))
    runtime.Runtime(world.settings()).bury("not a task", "x")
    assert rise("dead_letters_added_total", exchange="none") == 1
    assert rise("alerts_total", kind="malformed message", exchange="none") == 1


def test_messages_that_came_too_late_are_counted(world: World) -> None:
    """By kind; one that a stranger sends as a doorbell is a cancel all the same."""
    client = Celery("stranger", broker=world.redis_url)
    pairs, old_ms = ["btc_idr"], clock.now_ms() - 60_000
    client.send_task("worker.cancel", args=["ev", "a1"], expires=-5)
    client.send_task("worker.cancel", args=["ev", "a2"], kwargs={"job": "j1"}, expires=-5)
    client.send_task("worker.countdown", args=["ix", pairs, 60_000], expires=-5)
    client.send_task("worker.countdown", args=["ix", pairs, 30_000, old_ms])
    client.send_task("worker.countdown", args=["ix", ["eth_idr"], 60_000])
    client.send_task("worker.drain", kwargs={"exchange": "everstrike"}, expires=-5)
    url = served_at(world.worker())

    def counted() -> dict[str, str]:
        text = get(url, "/metrics")[1]
        return dict(re.findall(r'cancel_worker_messages_expired_total{kind="(.+)"} (.+)', text))

    expected = {"doorbell": "1.0", "cancel": "2.0", "countdown": "1.0", "stale countdown": "1.0"}
    assert set(counted()) == set(expected) == set(metrics.EXPIRED)
    eventually(lambda: counted() == expected, what="all five counted")
    eventually(lambda: [row.pairs for row in world.producer().switches()] == [("eth_idr",)])
    assert counted() == expected


def test_every_kind_of_alert_counts_from_0() -> None:
    """The first of its kind is a rise only if the kind was there before."""
    said = {
        kind
        for path in SOURCE.rglob("*.py")
        for kind in re.findall(r'(?<![\w.])alert\(\s*"([^"]+)"', path.read_text())
    }
    assert said
    assert said <= set(metrics.ALERTS), "add it to worker.telemetry.metrics.ALERTS"
    assert set(metrics.ALERTS) <= said, "no longer raised"
    metrics.prepare([("everstrike", "ev", False, [])])
    for kind in metrics.ALERTS:
        for exchange in ("everstrike", metrics.NONE):
            labels = {"kind": kind, "exchange": exchange}
            assert (
                metrics.REGISTRY.get_sample_value("cancel_worker_alerts_total", labels) is not None
            )


def test_counts_never_fall_on_odd_clocks(rise: Rise) -> None:
    """A clock that went back makes a time of 0, not a negative one."""
    metrics.tripped("everstrike", -5_000)
    metrics.leaving("everstrike", (clock.monotonic_ms() + 60_000,))
    assert rise("switch_lateness_seconds_sum", exchange="everstrike") == 0
    assert rise("send_delay_seconds_sum", exchange="everstrike") == 0
    assert rise("switch_lateness_seconds_bucket", exchange="everstrike", le="0.001") == 1
