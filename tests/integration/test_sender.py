"""Signed requests of jobs and of timers go the same way: each difference is decided once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.attempts import Attempts
from tests.support.polling import eventually
from tests.support.reconcilers import Keeping, stand
from tests.support.world import KEYS, World
from worker import Outcome, StoreUnavailable
from worker.factory import build_dispatcher
from worker.gateway.http.transport import Transport
from worker.model.decisions import Done
from worker.model.wire import Reply
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

SCOPE = {"pair": "btc_idr", "side": "buy"}
FAST = {"backoff_base_ms": 1, "backoff_max_ms": 5}
AHEAD_MS = 4_000


def alerts(caplog: pytest.LogCaptureFixture, kind: str) -> list[tuple[str, Any, Any]]:
    """Return the alerts of a kind: text, account and exchange of each."""
    fields = [(record.getMessage(), record.__dict__) for record in caplog.records]
    return [
        (text, values["account"], values["exchange"])
        for text, values in fields
        if values.get("alert") == kind
    ]


def test_a_refused_nonce_is_one_alert_for_both(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The sequence continues above the exchange's, and the alert does not distinguish the two."""
    engine = build_dispatcher(world.settings(jobs=FAST))
    engine.register()
    producer = world.producer()

    def cancels() -> bool:
        engine.run_exchange("indodax")
        return ticket.result().proven

    def has_timer() -> bool:
        engine.run_exchange("indodax")
        return bool(world.sim.timers())

    with caplog.at_level(logging.ERROR):
        world.sim.set_nonce(KEYS["ix"][1], 10**16)
        ticket = producer.cancel("ix", *world.place("ix"), **SCOPE)
        eventually(cancels, what="the order is canceled")
        world.sim.set_nonce(KEYS["ix"][1], 10**17)
        producer.arm("ix", pairs=["a_idr"], timeout_ms=60_000)
        eventually(has_timer, what="the timer is set")
    engine.stop()
    raised = alerts(caplog, "nonce refused")
    assert len(raised) == 2
    assert raised == [raised[0]] * 2
    refusals = [arrival.refusal for arrival in world.sim.journal()]
    assert refusals == ["nonce", None, "nonce", None]


@pytest.fixture
def no_more_redis(own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> EmbeddedRedis:
    """A Redis that is killed when the next reply of an exchange has come."""
    send = Transport.send

    def then_kill(self: Transport, *args: Any, **options: Any) -> Reply:
        reply = send(self, *args, **options)
        assert own_redis.process is not None
        own_redis.process.kill()
        own_redis.process.wait(10)
        return reply

    monkeypatch.setattr(Transport, "send", then_kill)
    return own_redis


def test_a_reply_counts_for_a_job_without_redis(
    sim: Simulator, tmp_path: Path, no_more_redis: EmbeddedRedis
) -> None:
    """The order is known to be canceled, though its rate slot cannot be reported."""
    world = World(sim, no_more_redis.url, tmp_path, top={"redis_timeout_ms": 200})
    attempts = Attempts(world)
    (order_id,) = world.place("ev")
    settlement = attempts.first("ev", order_id)
    assert settlement.decision == Done(Outcome.CANCELED)


@pytest.fixture
def keeping(no_more_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    """A Redis about to be killed and a new exchange on one stepped time."""
    with stand(no_more_redis.url, monkeypatch) as keeping:
        yield keeping


def test_a_reply_counts_for_a_timer_without_redis(keeping: Keeping) -> None:
    """What it shows of the exchange's clock is known, though no report of it arrives."""
    keeping.sim.set_clock_skew(AHEAD_MS)
    keeping.board.arm("it")
    worker = keeping.worker()
    with pytest.raises(StoreUnavailable):
        worker.tend("it")
    (session,) = [each for each in worker.sessions.accounts if each.alias == "it"]
    assert session.skew.ahead_ms > 0
    assert len(keeping.countdowns("it")) == 1
