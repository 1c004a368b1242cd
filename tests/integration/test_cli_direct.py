"""`cancel --direct` and `cancel-all --direct`, with and without Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.shell import Run, Told, run_main
from tests.support.world import World
from worker.simulator import Simulator
from worker.store.embedded import own_port


@pytest.fixture
def away(sim: Simulator, tmp_path: Path) -> World:
    """A world without Redis."""
    return World(sim, f"redis://127.0.0.1:{own_port()}/0", tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a world's settings; return exit code, output and errors."""

    def go(world: World, *arguments: str) -> Told:
        monkeypatch.setenv("WORKER_CONFIG", str(world.config()))
        return run_main(capsys, *arguments)

    return go


def document(told: Told) -> Any:
    """Return the one JSON document of an output that is nothing else."""
    return json.loads(told[1])


def test_without_redis_orders_come_off_and_it_says_what_that_means(away: World, run: Run) -> None:
    """Exit code 0 says that every order is off the book; the note, what is not shared."""
    orders = away.place("ev", 3)
    code, out, err = run(away, "cancel", "ev", *orders, orders[0], "--direct")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        [order_id, "yes", "CANCELED"] for order_id in orders
    ]
    assert err.count("\n") == 1
    assert "without Redis (Redis did not answer" in err
    assert "their nonces may be refused until they have caught up" in err

    orders = away.place("bm", 2, pair="BTC_USDT")
    told = run(away, "cancel-all", "bm", "--pair", "BTC_USDT", "--yes", "--direct", "--json")
    assert told[0] == 0
    answer = document(told)
    assert (answer["proven"], answer["shared_with_workers"]) == (True, False)
    assert [(job["order_id"], job["outcome"]) for job in answer["jobs"]] == [(None, "GONE")]
    assert {away.status("bm", order_id) for order_id in orders} == {"canceled"}


def test_with_redis_limits_and_nonces_are_shared(world: World, run: Run) -> None:
    """Nothing is queued, and it says so."""
    (order_id,) = world.place("ix")
    scope = ("--pair", "btc_idr", "--side", "buy")
    told = run(world, "cancel", "ix", order_id, *scope, "--direct", "--json")
    assert told[0] == 0
    assert document(told)["shared_with_workers"] is True
    assert "nothing is queued" in told[2]
    assert world.ledger().pending(limit=1) == []
    assert world.ledger().recent(limit=1) == []


def test_what_is_not_proven_in_time_fails(away: World, run: Run) -> None:
    """Exit code 1, and plain words that no worker continues it."""
    away.sim.set_faults({"accept_then_drop": 1.0})
    orders = away.place("ev", 2)
    told = run(away, "cancel", "ev", *orders, "--direct", "--wait", "0.3", "--json")
    assert told[0] == 1
    assert "2 of 2 not proven within 0.3 s; no worker retries them" in told[2]
    answer = document(told)
    assert answer["proven"] is False
    assert {job["outcome"] for job in answer["jobs"]} == {"UNKNOWN"}
    assert all(job["history"] for job in answer["jobs"])


def test_wrong_usage_sends_nothing(away: World, run: Run) -> None:
    """Exit code 2 and one line."""
    for arguments, words in (
        (("cancel", "nosuch", "1", "--direct"), "unknown account 'nosuch'"),
        (("cancel", "ix", "1", "--direct"), "needs the pair"),
        (("cancel-all", "ev", "--direct"), "add --yes"),
    ):
        code, out, err = run(away, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err
    assert away.sim.journal() == []


def test_ctrl_c_ends_it_with_plain_words(away: World) -> None:
    """With a request under way, which is not waited for."""
    away.sim.set_option("delay_ms", 50_000)
    away.sim.fault_next("delay", exchange="everstrike")
    (order_id,) = away.place("ev")
    command = [sys.executable, "-m", "worker", "cancel", "ev", order_id, "--direct", "--wait", "60"]
    environment = {
        **os.environ,
        "WORKER_CONFIG": str(away.config(http={"deadline_ms": 55_000}, jobs={"lease_ms": 60_000})),
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        eventually(away.sim.journal)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (130, "")
    assert "interrupted: orders may have been canceled" in err
    assert err.count("\n") == 1
