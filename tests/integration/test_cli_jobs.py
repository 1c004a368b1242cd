"""`jobs`, `show` and `dead` on a real Redis."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.manual_jobs import HOLDER, Hand
from tests.support.shell import Run, Told
from tests.support.world import World
from worker.cli.listings import find_switch
from worker.client import verbs
from worker.errors import StoreUnavailable
from worker.model.jobs import Kind, NewJob, State
from worker.store.switches import Switches

HOUR_MS = 3_600_000


def document(told: Told) -> Any:
    """Return the one JSON document of an output that is nothing else."""
    assert told[2] == ""
    return json.loads(told[1])


def ids(told: Told) -> list[str]:
    """Return the ids of the jobs listed."""
    return [job["id"] for job in document(told)["jobs"]]


def test_jobs_lists_what_is_asked_for(world: World, run: Run, hand: Hand) -> None:
    """By state and account; the pending ones first. A name is the live or latest switch's."""
    assert document(run("jobs", "--json")) == {"jobs": []}
    done, dead = hand.done("a1"), hand.dead("a2")
    pending = hand.pending("a3")
    other = hand.pending("7", "ix", pair="btc_idr", side="sell")
    bad = hand.malformed()
    assert set(ids(run("jobs", "--json"))[:2]) == {pending, other}
    assert ids(run("jobs", "--json"))[2:] == [dead, done]
    assert set(ids(run("jobs", "--state", "pending", "--json"))) == {pending, other}
    assert ids(run("jobs", "--state", "done", "--json")) == [done]
    assert set(ids(run("jobs", "--state", "dead", "--json"))) == {bad, dead}
    assert ids(run("jobs", "--account", "ix", "--json")) == [other]
    assert ids(run("jobs", "--account", "ev", "--state", "dead", "--json")) == [dead]
    assert ids(run("jobs", "--account", "nosuch", "--json")) == []

    for options, found in (
        (("--exchange", "indodax"), [other]),
        (("--order", "a2"), [dead]),
        (("--outcome", "REJECTED"), [dead]),
        (("--order", "a1", "--outcome", "REJECTED"), []),
        (("--newer-than", "1h"), ids(run("jobs", "--json"))),
        (("--switch", "nosuch"), []),
    ):
        assert ids(run("jobs", *options, "--json")) == found, options

    producer, switches = world.producer(), Switches(world.store())
    first = producer.arm("ev", order_ids=["a9"], timeout_ms=HOUR_MS, name="g1")
    first.disarm()
    assert find_switch(switches, "g1") == first.id
    second = producer.arm("ev", order_ids=["a8"], timeout_ms=HOUR_MS, name="g1")
    assert find_switch(switches, "g1") == second.id != first.id

    code, out, err = run("jobs")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["ID", "STATE", "ACCOUNT"]
    assert {line.split()[0] for line in lines[1:]} == {pending, other, done, dead}
    assert [line.split()[1:7] for line in lines if other in line] == [
        ["pending", "ix", "7", "btc_idr", "sell", "-"]
    ]


def test_a_limit_cuts_and_says_so(run: Run, hand: Hand) -> None:
    """On standard error, so that the document stays one."""
    for order_id in ("a1", "a2", "a3"):
        hand.dead(order_id)
    for command in (("jobs",), ("jobs", "--state", "dead"), ("dead", "list")):
        code, out, err = run(*command, "--limit", "2", "--json")
        assert code == 0
        assert len(json.loads(out)["jobs"]) == 2
        assert "--limit" in err
        assert len(ids(run(*command, "--limit", "3", "--json"))) == 3


def test_show_prints_all_of_one_job(run: Run, hand: Hand) -> None:
    """Its record and every attempt."""
    dead = hand.dead("a1")
    shown = document(run("show", dead, "--json"))
    assert shown["order_id"] == "a1"
    (attempt,) = shown["history"]
    assert (attempt["n"], attempt["by"], attempt["outcome"]) == (1, HOLDER, "REJECTED")
    code, out, _ = run("show", dead)
    assert code == 0
    assert re.search("^detail +not allowed$", out, re.MULTILINE)
    assert "2023-11-14T22:13:20.000+00:00  a worker  REJECTED" in out
    code, out, err = run("show", "nosuch")
    assert (code, out) == (1, "")
    assert err == "cancel-worker: no job has the id 'nosuch', or its record has expired\n"


def test_the_start_of_an_id_stands_for_it(run: Run, hand: Hand, world: World) -> None:
    """If it is the only one, and long enough; an ambiguous one names the jobs."""
    dead = hand.dead("a1")
    assert document(run("show", dead[:8], "--json"))["id"] == dead
    assert document(run("dead", "show", dead[:8], "--json"))["id"] == dead
    assert run("show", dead[:3])[0] == 1
    for name in ("feed0001", "feed0002", "feed0001.0.cafe"):
        job = NewJob(id=name, lane="everstrike:ev", kind=Kind.CANCEL, order_id=name)
        world.ledger().accept([job])
    code, out, err = run("show", "feed")
    assert (code, out) == (1, "")
    assert "'feed' stands for 3 jobs: feed0001, feed0002, feed0001.0.cafe; give more" in err
    assert document(run("show", "feed0001", "--json"))["id"] == "feed0001"
    assert document(run("show", "feed0001.", "--json"))["id"] == "feed0001.0.cafe"
    told = run("dead", "discard", dead[:8], "--yes")
    assert told[1].startswith(f"{dead} discarded")


def test_dead_shows_what_a_stranger_sent_without_obeying_it(run: Run, hand: Hand) -> None:
    """Control characters are written out."""
    bad = hand.malformed()
    code, out, _ = run("dead", "show", bad)
    assert code == 0
    assert "\\x1b[31m{}\\n" in out
    assert "\x1b" not in out
    assert document(run("dead", "show", bad, "--json"))["raw"] == "\x1b[31m{}\n"
    for job_id in (hand.pending("a1"), "nosuch"):
        code, _, err = run("dead", "show", job_id)
        assert code == 1
        assert "no dead letter has this id" in err


def test_replay_makes_a_new_job_of_the_old_command(run: Run, hand: Hand, world: World) -> None:
    """It names the old one as its parent; the old one is off the list, and can be seen."""
    dead = hand.dead("7", "ix", pair="btc_idr", side="buy")
    assert run("dead", "replay", dead, "--dry-run")[:2] == (0, f"{dead} would be replayed (ix 7)\n")
    assert hand.letters() == [dead]

    code, out, err = run("dead", "replay", dead)
    assert (code, err) == (0, "")
    (new,) = hand.ledger.pending(limit=10)
    assert out == f"{dead} replayed as {new.id} (ix 7)\n"
    assert (new.parent, new.state, new.lane) == (dead, State.PENDING, "indodax:ix")
    assert (new.order_id, new.pair, new.side) == ("7", "btc_idr", "buy")
    assert hand.letters() == []
    assert document(run("show", dead, "--json"))["state"] == "dead"
    kept_ms: Any = world.store().client.pttl(world.store().key(f"job:{dead}"))
    assert kept_ms > 0


def test_replay_all_leaves_what_cannot_be_replayed(run: Run, hand: Hand) -> None:
    """Malformed messages stay, and are named; the others are replayed."""
    dead = [hand.dead("a1"), hand.dead("a2")]
    bad = hand.malformed()
    told = run("dead", "replay", "--all", "--dry-run", "--json")
    assert told[0] == 1
    assert set(hand.letters()) == {bad, *dead}

    code, out, err = run("dead", "replay", "--all", "--json")
    assert code == 1
    assert err == (
        f"cancel-worker: {bad}: a malformed message cannot be replayed: "
        "have it sent again, or discard it\n"
    )
    fates = {fate["id"]: fate for fate in json.loads(out)["letters"]}
    assert [fates[job_id]["ok"] for job_id in (*dead, bad)] == [True, True, False]
    assert hand.letters() == [bad]
    parents = {job.parent: job.id for job in hand.ledger.pending(limit=10)}
    assert parents == {job_id: fates[job_id]["job"] for job_id in dead}


def test_replay_joins_a_job_that_is_pending_already(run: Run, hand: Hand) -> None:
    """The same order is one job."""
    dead, pending = hand.dead("a1"), hand.pending("a1")
    code, out, _ = run("dead", "replay", dead)
    assert (code, out) == (0, f"{dead} joined to a pending job as {pending} (ev a1)\n")
    assert hand.letters() == []


def test_replay_refuses_what_is_no_dead_letter(
    run: Run, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is named; a letter whose account is gone stays."""
    pending, done, dead = hand.pending("a1"), hand.done("a2"), hand.dead("a3")
    code, out, err = run("dead", "replay", pending, done, "nosuch")
    assert (code, out) == (1, "")
    assert err.count("no dead letter has this id") == 3
    monkeypatch.setenv("WORKER_ACCOUNTS__EV__EXCHANGE", "bitmart")
    monkeypatch.setenv("WORKER_ACCOUNTS__EV__LIMITS", "{}")
    code, _, err = run("dead", "replay", dead)
    assert code == 1
    assert "account ev is on bitmart now, the order on everstrike" in err
    assert hand.letters() == [dead]


def test_a_replay_that_redis_does_not_confirm_loses_nothing(
    run: Run, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter stays until the new job is recorded; again is safe."""
    dead = hand.dead("a1")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("Redis did not answer")

    monkeypatch.setattr(verbs, "retiring", away)
    assert run("dead", "replay", dead)[0] == 1
    assert hand.letters() == [dead]
    monkeypatch.undo()
    assert len(hand.ledger.pending(limit=10)) == 1


def test_discard_forgets_dead_letters_alone(run: Run, hand: Hand) -> None:
    """With --yes; a job that is not dead is never touched."""
    dead, bad, pending = hand.dead("a1"), hand.malformed(), hand.pending("a2")
    assert run("dead", "discard", dead)[0] == 2
    assert run("dead", "discard", dead, "--dry-run")[1] == f"{dead} would be discarded (ev a1)\n"
    would = run("dead", "discard", bad, "--dry-run")[1]
    assert would == f"{bad} would be discarded (malformed)\n"
    assert set(hand.letters()) == {dead, bad}

    code, out, err = run("dead", "discard", dead, pending, "nosuch", "--yes")
    assert (code, out) == (1, f"{dead} discarded (ev a1)\n")
    assert err.count("no dead letter has this id") == 2
    assert hand.get(pending).state is State.PENDING
    assert hand.ledger.get(dead) is None

    told = run("dead", "discard", "--all", "--yes", "--json")
    assert told[0] == 0
    assert [fate["done"] for fate in document(told)["letters"]] == ["discarded"]
    assert document(run("dead", "list", "--json")) == {"jobs": []}
    none = "cancel-worker: no dead letter matches\n"
    assert run("dead", "discard", "--all", "--yes") == (0, "", none)
    assert run("dead", "replay", "--reason", "no reply", "--dry-run") == (0, "", none)
