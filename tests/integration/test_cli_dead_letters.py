"""Which dead letters are meant, what is shown of them, and that none goes unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.attempts import Attempts
from tests.support.ledgers import Verb
from tests.support.manual_jobs import Hand
from tests.support.polling import eventually
from tests.support.shell import Run, Told
from tests.support.world import World
from worker.cli.commands.dead_letters import HEADERS
from worker.model.jobs import State
from worker.model.outcomes import Outcome

HOUR_MS = 3_600_000


def listed(told: Told) -> list[dict[str, Any]]:
    """Return the letters of a document."""
    found: list[dict[str, Any]] = json.loads(told[1])["jobs"]
    return found


def age(world: World, job_id: str, ms: int) -> None:
    """Have a letter been given up so long ago."""
    client, at_ms = world.store().client, world.ledger().now_ms() - ms
    client.hset(f"cx:job:{job_id}", "finished_ms", str(at_ms))
    client.zadd("cx:dead", {job_id: at_ms})


@pytest.fixture
def letters(world: World, hand: Hand) -> dict[str, str]:
    """Four dead letters that differ in everything; name → id."""
    found = {
        "old": hand.dead("a1"),
        "new": hand.end(hand.pending("a2"), Verb.DEAD, Outcome.UNKNOWN, "not proven; no Reply"),
        "other": hand.dead("7", "ix", pair="btc_idr", side="buy"),
        "bad": hand.malformed(),
    }
    age(world, found["old"], 3 * HOUR_MS)
    return found


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), {"old", "new", "other", "bad"}),
        (("--account", "ev"), {"old", "new"}),
        (("--exchange", "indodax"), {"other"}),
        (("--outcome", "UNKNOWN"), {"new"}),
        (("--reason", "no reply"), {"new"}),
        (("--older-than", "2h"), {"old"}),
        (("--newer-than", "2h"), {"new", "other", "bad"}),
        (("--account", "ev", "--newer-than", "2h"), {"new"}),
        (("--older-than", "5m", "--newer-than", "1d"), {"old"}),
        (("--older-than", "5h"), set()),
    ],
)
def test_letters_are_selected(
    run: Run, letters: dict[str, str], options: tuple[str, ...], names: set[str]
) -> None:
    """The same ones in a list, and in what would be done to them."""
    wanted = {letters[name] for name in names}
    told = run("dead", "list", *options, "--json")
    assert (told[0], told[2]) == (0, "")
    assert {job["id"] for job in listed(told)} == wanted
    every = options or ("--all",)
    told = run("dead", "discard", *every, "--dry-run", "--json")
    assert {fate["id"] for fate in json.loads(told[1])["letters"]} == wanted
    told = run("dead", "replay", *every, "--dry-run", "--json")
    assert {fate["id"] for fate in json.loads(told[1])["letters"]} == wanted
    assert len(listed(run("dead", "list", "--json"))) == len(letters)


def test_what_is_selected_is_done_to_it_alone(
    run: Run, hand: Hand, letters: dict[str, str]
) -> None:
    """Replayed as a new job that names the old; discarded only with --yes, and named."""
    assert run("dead", "replay", "--older-than", "2h")[0] == 0
    (new,) = hand.ledger.pending(limit=10)
    assert (new.parent, new.order_id) == (letters["old"], "a1")
    assert set(hand.letters()) == {letters["new"], letters["other"], letters["bad"]}

    code, out, err = run("dead", "discard", "--exchange", "indodax", "--outcome", "REJECTED")
    assert (code, out) == (2, "")
    assert "delete every dead letter of exchange indodax, with outcome REJECTED" in err
    assert run("dead", "discard", "--exchange", "indodax", "--yes")[0] == 0
    assert set(hand.letters()) == {letters["new"], letters["bad"]}


def test_a_limit_counts_what_is_selected(run: Run, letters: dict[str, str]) -> None:
    """Not what there is."""
    told = run("dead", "list", "--account", "ev", "--limit", "1", "--json")
    assert [job["id"] for job in listed(told)] == [letters["new"]]
    assert "these are 1 of 2" in told[2]


def test_a_dry_run_finds_what_could_not_be_replayed(
    run: Run, letters: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the replay itself would."""
    monkeypatch.setenv("WORKER_ACCOUNTS__EV__EXCHANGE", "bitmart")
    monkeypatch.setenv("WORKER_ACCOUNTS__EV__LIMITS", "{}")
    code, out, err = run("dead", "replay", letters["new"], "--dry-run")
    assert (code, out) == (1, "")
    assert "account ev is on bitmart now" in err


def test_a_letter_shows_its_reason_last_answer_attempts_and_age(world: World, run: Run) -> None:
    """As they came out of real attempts."""
    attempts = Attempts(world, jobs={"max_attempts": 3, "backoff_base_ms": 1})
    world.sim.set_faults({"html_5xx": 1.0})
    job_id = attempts.accept("ev", *world.place("ev"))
    attempts.run("ev", job_id)
    age(world, job_id, 2 * HOUR_MS)
    (letter,) = listed(run("dead", "list", "--json"))
    last = letter["last_answer"]
    assert letter["reason"] == f"3 attempts made; {last['detail']}"
    assert "HTTP 50" in last["detail"]
    assert (last["n"], letter["attempts"]) == (3, 3)
    assert 2 * HOUR_MS <= letter["age_ms"] < 3 * HOUR_MS
    out = run("dead", "list")[1].splitlines()
    assert out[0].split() == [each for each in HEADERS if each not in ("PAIR", "SIDE")]
    assert out[1].split()[:5] == [
        job_id,
        "ev",
        letter["order_id"],
        letter["outcome"],
        "3",
    ]
    assert out[1].split()[5] == "2h"
    shown = run("dead", "show", job_id)[1]
    assert f"{letter['outcome']}: {last['detail']}" in shown


def test_dead_letters_never_expire(world: World, run: Run, hand: Hand) -> None:
    """However they were made; what is replayed is kept for a while, to be seen."""
    store = world.store()
    given_up, bad = hand.dead("a1"), hand.malformed()
    for job_id in (given_up, bad):
        assert store.client.pttl(f"cx:job:{job_id}") == -1
    assert store.client.pttl("cx:dead") == -1
    assert run("dead", "replay", given_up)[0] == 0
    left: Any = store.client.pttl(f"cx:job:{given_up}")
    assert left > HOUR_MS


def test_a_letter_whose_record_is_gone_does_not_vanish(world: World, run: Run, hand: Hand) -> None:
    """It is listed with what is left of it, and can be discarded."""
    job_id = hand.dead("a1")
    world.store().client.delete(f"cx:job:{job_id}")
    (letter,) = listed(run("dead", "list", "--json"))
    assert (letter["id"], letter["kind"], letter["state"]) == (job_id, "unknown", "dead")
    assert "its record is gone" in letter["reason"]
    assert run("dead", "replay", "--all")[0] == 1
    assert run("dead", "discard", "--all", "--yes")[0] == 0
    assert listed(run("dead", "list", "--json")) == []


def test_jobs_of_a_newer_version_are_shown_as_unknown(world: World, run: Run, hand: Hand) -> None:
    """Whatever is in them; no command fails, and none touches them."""
    client = world.store().client
    pending, dead, done = hand.pending("a1"), hand.dead("a2"), hand.done("a3")
    strange = {"kind": "amend", "v": "2", "phase": "weigh", "streak": "x", "history": "no\n[1]\n"}
    for job_id in (pending, dead, done):
        client.hset(f"cx:job:{job_id}", mapping={**strange, "outcome": "SOLD"})
    client.hset(f"cx:job:{pending}", "state", "paused")
    found = {job["id"]: job for job in listed(run("jobs", "--json"))}
    assert set(found) == {pending, dead, done}
    for job in found.values():
        assert (job["kind"], job["version"], job["outcome"]) == ("unknown", 2, "UNKNOWN")
    assert "newer version (v 2, kind 'amend')" in found[pending]["detail"]
    for command in (("jobs",), ("show", pending), ("dead", "list"), ("dead", "show", dead)):
        code, out, err = run(*command)
        assert (code, err) == (0, ""), err
        assert out
    code, _, err = run("dead", "replay", dead)
    assert code == 1
    assert "a newer version wrote" in err
    assert hand.get(dead).state is State.DEAD
    assert hand.producer.ticket(pending) is not None


def test_a_cancel_that_expired_in_its_queue_is_a_dead_letter(world: World) -> None:
    """Who sent it with a time limit may think it done; nothing expires by its age unseen."""
    from celery import Celery  # noqa: PLC0415

    client = Celery("stranger", broker=world.redis_url)
    client.send_task("worker.cancel", args=["ev", "a1"], expires=-5)
    client.send_task("worker.countdown", args=["ix", ["btc_idr"], 60_000], expires=-5)
    worker = world.worker()
    (letter,) = eventually(lambda: world.ledger().dead(limit=10))
    assert "worker.cancel expired before a worker read it" in letter.detail
    assert "a1" in letter.raw
    eventually(lambda: "worker.countdown expired before a worker read it" in worker.text())
    assert world.sim.journal() == []
