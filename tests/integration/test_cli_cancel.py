"""`cancel` and `cancel-all` on a real Redis, a real worker and simulated exchanges."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.shell import Run, Told
from tests.support.world import World
from worker.model.jobs import State

SCOPE = ("--pair", "btc_idr", "--side", "buy")


def document(told: Told) -> Any:
    """Return the one JSON document of an output that is nothing else."""
    return json.loads(told[1])


def test_orders_are_waited_for_until_proven(world: World, run: Run) -> None:
    """Exit code 0 says that every order is off the book."""
    worker = world.worker()
    ids = world.place("ev", 3)
    code, out, err = run("cancel", "ev", *ids, "--wait", "20")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        [order_id, "yes", "CANCELED", "done"] for order_id in ids
    ]
    assert {world.status("ev", order_id) for order_id in ids} == {"canceled"}

    ids = world.place("ix", 2)
    told = run("cancel", "ix", *ids, *SCOPE, "--wait", "20", "--json")
    assert (told[0], told[2]) == (0, "")
    answer = document(told)
    assert answer["proven"] is True
    assert [job["order_id"] for job in answer["jobs"]] == ids
    assert {job["outcome"] for job in answer["jobs"]} == {"CANCELED"}

    filled, opened = world.place("ev", 2)
    world.sim.fill("everstrike", filled)
    answer = document(run("cancel", "ev", filled, opened, "--wait", "20", "--json"))
    assert [job["outcome"] for job in answer["jobs"]] == ["GONE", "CANCELED"]

    world.place("bm", 3, pair="BTC_USDT")
    code, out, err = run("cancel-all", "bm", "--pair", "BTC_USDT", "--yes", "--wait", "20")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:3] == ["all", "yes", "GONE"]
    assert "a cancel of all of it was sent, and no reply says what it canceled" in out
    assert {order.status for order in world.sim.orders("bitmart")} == {"canceled"}

    world.sim.set_faults({"html_5xx": 1.0})
    (stuck,) = world.place("ev")
    told = run("cancel", "ev", stuck, "--wait", "0.3", "--json")
    assert told[0] == 1
    assert "1 of 1 not proven within 0.3 s; workers continue the pending jobs" in told[2]
    answer = document(told)
    assert answer["proven"] is False
    (job,) = answer["jobs"]
    assert (job["state"], job["outcome"], job["proven"]) == ("pending", "UNKNOWN", False)
    assert job["attempts"] >= 1
    world.sim.set_faults({})
    assert run("cancel", "ev", stuck, "--wait", "20")[0] == 0
    assert worker.stop() == 0


def test_without_waiting_it_prints_the_jobs(world: World, run: Run) -> None:
    """One id a line, in order; the same order is the same job."""
    code, out, err = run("cancel", "ev", "a1", "a2", "a1")
    assert code == 0
    assert "no worker is alive to act on it" in err
    ids = out.split()
    assert len(ids) == 3
    assert ids[0] == ids[2] != ids[1]
    job = world.ledger().get(ids[0])
    assert job is not None
    assert (job.state, job.order_id) == (State.PENDING, "a1")

    world.ledger().heartbeat("host:1:aa", ttl_ms=600_000)
    told = run("cancel", "ev", "a2", "a3", "--json")
    assert (told[0], told[2]) == (0, "")
    jobs = document(told)["jobs"]
    assert [(job["order_id"], job["fresh"]) for job in jobs] == [("a2", False), ("a3", True)]
    assert jobs[0]["id"] == ids[1]

    answer = document(run("cancel-all", "ix", "--pair", "btc_idr", "--yes", "--json"))
    assert answer["account"] == "ix"
    assert answer["jobs"][0]["order_id"] is None


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_order_ids_come_from_standard_input(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, mark: bytes
) -> None:
    """One a line, whatever the line ends; a byte order mark is no part of the first."""
    text = io.TextIOWrapper(io.BytesIO(mark + b"a1\r\n\n a2 \na3"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", text)
    code, out, _ = run("cancel", "ev", "-")
    assert code == 0
    jobs = world.ledger().many(out.split())
    assert [job.order_id for job in jobs if job] == ["a1", "a2", "a3"]


def test_what_is_refused_queues_nothing(world: World, run: Run) -> None:
    """Not even the ids that are fine."""
    for arguments, words in (
        (("cancel", "nosuch", "a"), "unknown account 'nosuch'; known: bm, ev, it, ix"),
        (("cancel-all", "nosuch", "--yes"), "unknown account 'nosuch'"),
        (("cancel", "ix", "1"), "needs the pair"),
        (("cancel", "ev", "good", ""), "is not an order id"),
        (("cancel-all", "ev", "--pair", "btc idr", "--yes"), "is not a pair"),
        (("cancel-all", "ev"), "add --yes"),
    ):
        code, out, err = run(*arguments)
        assert code == 2
        assert words in err
        assert (out, err.count("\n")) == ("", 1)
    assert world.ledger().pending(limit=10) == []


def test_redis_going_away_while_waiting_is_not_an_end(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait continues; what cannot be read at its end is unknown."""
    from worker.errors import StoreUnavailable  # noqa: PLC0415

    asked = 0

    def away(*_: object) -> list[None]:
        nonlocal asked
        asked += 1
        raise StoreUnavailable("Redis did not answer (ConnectionError)")

    monkeypatch.setattr("worker.client.ticket.reading_jobs", away)
    told = run("cancel", "ev", "a1", "a2", "--wait", "0.2", "--json")
    assert told[0] == 1
    assert asked > 2
    for job in document(told)["jobs"]:
        assert (job["outcome"], job["state"]) == ("UNKNOWN", "pending")
        assert "workers continue the job" in job["detail"]
    monkeypatch.undo()
    assert len(world.ledger().pending(limit=10)) == 2


def test_many_orders_are_waited_for_together(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst; on a terminal its progress shows on standard error, and there alone."""
    world.worker()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    ids = world.place("ev", 40)
    told = run("cancel", "ev", *ids, "--wait", "30", "--json")
    assert told[0] == 0
    assert len(document(told)["jobs"]) == 40
    assert "/40" in told[2]
    eventually(lambda: all(world.status("ev", order_id) == "canceled" for order_id in ids))
