"""`arm`, `beat`, `disarm` and `switches` on a real Redis; where needed, a real worker."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.shell import Run, Told
from tests.support.world import KEYS, World
from worker import Switch, clock
from worker.cli.commands.switches import HEADERS
from worker.errors import StoreUnavailable, SwitchReplaced
from worker.store.ledger import Ledger

HOUR = ("--timeout-ms", "3600000")
HOUR_MS = 3_600_000


@pytest.fixture
def alive(world: World) -> None:
    """A worker that lives as far as Redis knows, and does nothing."""
    ledger = Ledger(world.store(), digest="idle")
    ledger.register([(alias, exchange, 0) for alias, (exchange, *_) in KEYS.items()])
    ledger.heartbeat("host:1:aa", ttl_ms=600_000)


@pytest.fixture
def shells() -> Iterator[list[subprocess.Popen[str]]]:
    """Commands that run beside a test; none outlives it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        with process:
            process.kill()


def document(told: Told) -> Any:
    """Return the one JSON document of an output that is nothing else."""
    assert told[0] == 0
    return json.loads(told[1])


def refused(told: Told) -> str:
    """Return the one line of a command that failed."""
    assert told[0] == 1
    assert (told[1], told[2].count("\n")) == ("", 1)
    return told[2]


def listed(told: Told) -> list[str]:
    """Return the ids of the switches listed."""
    return [switch["id"] for switch in document(told)["switches"]]


def hour(world: World, alias: str, **scope: Any) -> Switch:
    """Arm a switch that will not trip in a test."""
    return world.producer().arm(alias, timeout_ms=HOUR_MS, **scope)


def overdue(world: World, *switches: Switch) -> None:
    """Let the deadlines of switches be over."""
    store = world.store()
    for switch in switches:
        key = store.key(f"switch:{switch.id}")
        store.client.hset(key, "deadline_ms", str(world.ledger().now_ms() - 1))


@pytest.mark.usefixtures("alive")
def test_a_switch_is_named_by_its_id_its_start_or_its_name(world: World, run: Run) -> None:
    """Times are typed with their units."""
    armed = document(run("arm", "ev", "--order", "a1", "--timeout", "90s", "--name", "g", "--json"))
    assert armed["timeout_ms"] == 90_000
    for text in (armed["id"], armed["id"][:6], "g"):
        assert document(run("beat", text, "--json"))["id"] == armed["id"]
    other = hour(world, "ix", pairs=["btc_idr"], name="g")
    code, out, err = run("disarm", "g")
    assert (code, out) == (1, "")
    assert "'g' stands for 2 switches" in err
    assert run("disarm", other.id[:6])[0] == 0
    assert run("disarm", "g")[0] == 0


@pytest.mark.usefixtures("alive")
def test_arm_prints_what_one_needs_to_beat(world: World, run: Run) -> None:
    """Id, epoch, deadline, and that someone must beat now."""
    code, out, err = run("arm", "ix", "--pair", "btc_idr", "--pair", "eth_idr", *HOUR)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    (switch_id,) = re.findall(r"^switch +([0-9a-f]{24})$", out, re.MULTILINE)
    assert lines[1].split() == ["epoch", "1"]
    assert re.fullmatch(r"deadline  20\d\d-.*, 1h", lines[2])
    assert "send a heartbeat at least every 30m" in lines[3]
    assert lines[4].strip() == f"cancel-worker beat {switch_id} --every 900"
    (record,) = world.producer().switches()
    assert (record.id, record.pairs, record.state) == (switch_id, ("btc_idr", "eth_idr"), "armed")

    again = run("arm", "ix", "--pair", "eth_idr", "--pair", "btc_idr", *HOUR)
    assert "2 (armed before: heartbeats of the former holder now fail)" in again[1]
    armed = document(
        run("arm", "ev", "--order", "a1", "--order", "a2", *HOUR, "--json", "--name", "g1")
    )
    record = next(each for each in world.producer().switches() if each.account == "ev")
    assert (record.id, record.order_ids) == (armed["id"], ("a1", "a2"))
    assert armed == {
        "id": record.id,
        "name": "g1",
        "account": "ev",
        "epoch": 1,
        "timeout_ms": HOUR_MS,
        "deadline_ms": record.deadline_ms,
        "held": "workers",
        "held_why": "the exchange has no timer",
        "beat_at_least_every_ms": HOUR_MS // 2,
    }


def test_without_a_worker_it_warns_that_none_would_act(world: World, run: Run) -> None:
    """On standard error; what was asked is done all the same."""
    told = run("arm", "ix", "--pair", "btc_idr", *HOUR, "--json")
    assert "no worker is alive to act on it" in told[2]
    switch_id = document(told)["id"]
    code, out, err = run("beat", switch_id)
    assert (code, err) == (0, "")
    assert out.startswith("1h left, not in time: no worker")
    store = world.store()
    store.client.hset(store.key(f"switch:{switch_id}"), "fires_ms", str(clock.now_ms() + HOUR_MS))
    code, out, err = run("disarm", switch_id)
    assert (code, out.splitlines()[0]) == (0, f"{switch_id} disarmed; its orders stay open")
    assert "a worker now stops the exchange's own timer" in out
    assert "no worker is alive" in err


def test_a_scope_that_cannot_be_armed_is_wrong_usage(world: World, run: Run) -> None:
    """An overlap names the other switch and the fix; nothing is armed."""
    other = hour(world, "ix", pairs=["btc_idr", "eth_idr"])
    for arguments, words in (
        (("ix", "--pair", "eth_idr"), f"switch {other.id} covers part of this scope"),
        (("ix", "--pair", "x_idr", "--name", "a b"), "1 to 64 letters"),
        (("ix", "--pair", "eth_idr"), "disarm it, or arm exactly its scope"),
        (("nosuch", "--order", "a"), "unknown account 'nosuch'; known: bm, ev, it, ix"),
    ):
        code, out, err = run("arm", *arguments, *HOUR)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err
    assert [record.id for record in world.producer().switches()] == [other.id]


@pytest.mark.usefixtures("alive")
def test_beat_and_disarm_print_the_state(world: World, run: Run) -> None:
    """Of any holder; with --epoch only while that arming counts."""
    held = hour(world, "ev", order_ids=["a1"])
    before = held.record()
    assert run("beat", held.id) == (0, "1h left, in time\n", "")
    beaten = document(run("beat", held.id, "--epoch", "1", "--json"))
    # It counts from when the beat was called.
    assert HOUR_MS - 1_000 < beaten.pop("left_ms") <= HOUR_MS
    assert beaten == {"id": held.id, "account": "ev", "in_time": True}
    after = held.record()
    assert before is not None
    assert after is not None
    assert after.deadline_ms >= before.deadline_ms

    assert hour(world, "ev", order_ids=["a1"]).id == held.id
    for command in ("beat", "disarm"):
        assert "was armed again elsewhere" in refused(run(command, held.id, "--epoch", "1"))
    assert run("disarm", held.id, "--epoch", "2")[:2] == (
        0,
        f"{held.id} disarmed; its orders stay open\n",
    )
    again = document(run("disarm", held.id, "--json"))
    assert (again["state"], again["order_ids"], again["left_ms"]) == ("disarmed", ["a1"], None)
    for arguments in ((), ("--epoch", "2")):
        line = refused(run("beat", held.id, *arguments))
        assert "was disarmed; to set a deadline again, arm the same scope" in line
    with pytest.raises(SwitchReplaced):
        held.beat()


def test_what_has_tripped_or_never_was_is_exit_code_1(world: World, run: Run) -> None:
    """One line each, with the fix; nothing is canceled by asking for another's."""
    late = hour(world, "ev", order_ids=["a1"])
    overdue(world, late)
    for command in (("beat",), ("disarm",), ("beat", "--every", "1")):
        line = refused(run(*command, late.id))
        assert f"switch {late.id} has tripped: its deadline has passed" in line
        assert "cancel-worker jobs" in line
    assert [job.order_id for job in world.ledger().pending(limit=9)] == ["a1"]
    for name in ("nosuch", "", f"{late.id}:orders", "x\n\x1b[31m", "\udcff"):
        for command in (("beat",), ("disarm",), ("beat", "--every", "1")):
            line = refused(run(*command, name))
            assert "does not exist, or its record has expired; `cancel-worker switches`" in line
            assert "\x1b" not in line


def test_switches_lists_what_is_asked_for(world: World, run: Run) -> None:
    """Live switches first, the nearest deadline ahead; then the ended, latest first."""
    assert document(run("switches", "--json"))["switches"] == []
    code, out, _ = run("switches")
    assert (code, tuple(out.split())) == (0, HEADERS)
    gone, late = hour(world, "ev", order_ids=["a1"]), hour(world, "ev", order_ids=["a2"])
    gone.disarm()
    overdue(world, late)
    assert run("beat", late.id)[0] == 1
    far = hour(world, "ix", pairs=["btc_idr"])
    near = world.producer().arm("ev", pairs=["btc_usd"], timeout_ms=HOUR_MS // 2)
    assert listed(run("switches", "--json")) == [near.id, far.id, late.id, gone.id]
    assert listed(run("switches", "--state", "armed", "--json")) == [near.id, far.id]
    assert listed(run("switches", "--state", "tripped", "--json")) == [late.id]
    assert listed(run("switches", "--state", "disarmed", "--json")) == [gone.id]
    assert listed(run("switches", "--account", "ev", "--json")) == [near.id, late.id, gone.id]
    assert listed(run("switches", "--account", "nosuch", "--json")) == []

    told = run("switches", "--limit", "3", "--json")
    assert listed(told) == [near.id, far.id, late.id]
    assert "these are the first 3; see more with --limit" in told[2]
    assert run("switches", "--limit", "4", "--json")[2] == ""

    code, out, err = run("switches")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[1:]]
    assert [row[:4] for row in rows] == [
        [near.id, "ev", "btc_usd", "armed"],
        [far.id, "ix", "btc_idr", "armed"],
        [late.id, "ev", "a2", "tripped"],
        [gone.id, "ev", "a1", "disarmed"],
    ]
    assert rows[1][-3:] == ["not", "yet", "1"]


def test_a_switch_armed_long_ago_is_listed_all_the_same(world: World, run: Run) -> None:
    """However many others have ended since."""
    old = hour(world, "ix", pairs=["btc_idr"])
    store = world.store()
    store.client.zadd(store.key("switches"), {old.id: 1, **{f"f{n}": 2 + n for n in range(900)}})
    assert listed(run("switches", "--limit", "1", "--json")) == [old.id]
    assert document(run("status", "--json"))["switches"]["armed"] == 1


def test_status_counts_switches_and_the_nearest_deadline(world: World, run: Run) -> None:
    """None of them is a pending job; the accounts of those that live are shown."""
    assert document(run("status", "--json"))["switches"] == {
        "armed": 0,
        "tripped": 0,
        "disarmed": 0,
        "nearest_deadline_ms": None,
    }
    hour(world, "ev", order_ids=["a1"]).disarm()
    hour(world, "ix", pairs=["btc_idr"])
    near = world.producer().arm("ix", pairs=["eth_idr"], timeout_ms=HOUR_MS // 2)
    told = document(run("status", "--json"))
    assert [(row["account"], row["pending"], row["served"]) for row in told["lanes"]] == [
        ("ix", 0, False)
    ]
    assert told["switches"] == {
        "armed": 2,
        "tripped": 0,
        "disarmed": 1,
        "nearest_deadline_ms": near.deadline_ms,
    }
    lines = [line.split() for line in run("status")[1].splitlines()]
    assert ["switches", "2", "armed,", "0", "tripped,", "1", "disarmed"] in lines
    assert ["pending", "0"] in lines
    assert [line for line in lines if line[:3] == ["nearest", "deadline", "in"]]
    overdue(world, near)
    assert "nearest deadline has passed" in run("status")[1]


def test_watching_continues_while_redis_is_down(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until Ctrl-C, which is exit code 0."""
    switch = hour(world, "ix", pairs=["btc_idr"])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    looks = 0

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("Redis did not answer (ConnectionError)")

    def next_look(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            monkeypatch.setattr("worker.store.switches.Switches.live", away)
        if looks == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep_ms", next_look)
    code, out, _ = run("switches", "--watch")
    assert (code, looks) == (0, 2)
    assert switch.id in out
    assert "Redis did not answer (ConnectionError) at 127.0.0.1:" in out


def test_ids_are_completed_from_the_ledger(world: World) -> None:
    """Of the settings in force, also those of --config."""
    config = world.config()
    one, two = hour(world, "ix", pairs=["btc_idr"]), hour(world, "ev", order_ids=["a1"])
    hour(world, "ev", order_ids=["a2"]).disarm()

    def offered(line: str) -> list[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "_CANCEL_WORKER_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-m", "worker"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    # Completion waits 300 ms for Redis at most, and then offers nothing.
    for line, ids in (("beat ", [one.id, two.id]), (f"disarm {two.id[:6]}", [two.id])):
        words = f"cancel-worker --config {config} {line}"
        assert eventually(lambda: offered(words), within_ms=120_000) == ids  # noqa: B023


def beating(
    world: World, shells: list[subprocess.Popen[str]], switch_id: str, *, left: str
) -> subprocess.Popen[str]:
    """Start `beat --every`; return once it has sent a heartbeat.

    Until then this process holds the switch: the shell may take long to start.
    """
    shell = subprocess.Popen(
        [sys.executable, "-m", "worker", "beat", switch_id, "--every", "0.2"],
        env={**os.environ, "WORKER_CONFIG": str(world.config())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shells.append(shell)
    assert shell.stdout is not None
    switch, output = world.producer().switch(switch_id), [shell.stdout]
    eventually(lambda: [switch.beat()] and select.select(output, [], [], 0)[0])
    assert shell.stdout.readline().startswith(f"{left} left, ")
    return shell


def test_a_shell_holds_a_switch_and_lets_it_go(
    world: World, run: Run, shells: list[subprocess.Popen[str]]
) -> None:
    """Orders stay while it beats, also beyond the first deadline; after it, they come off."""
    world.worker()
    ids = world.place("ev", 2)
    orders = [part for order_id in ids for part in ("--order", order_id)]
    armed = document(run("arm", "ev", *orders, "--timeout-ms", "4000", "--json"))
    shell = beating(world, shells, armed["id"], left="4s")
    (record,) = world.producer().switches(limit=1)
    eventually(lambda: world.ledger().now_ms() > record.deadline_ms + 200)
    assert {world.status("ev", order_id) for order_id in ids} == {"open"}
    shell.send_signal(signal.SIGINT)
    _, err = shell.communicate(timeout=60)
    assert shell.returncode == 130
    assert "stopped sending heartbeats; the switch trips within 4s" in err
    eventually(lambda: all(world.status("ev", order_id) == "canceled" for order_id in ids))
    assert "has tripped" in refused(run("beat", armed["id"]))


def test_the_exchange_s_own_timer_follows_arm_and_disarm(
    world: World, run: Run, shells: list[subprocess.Popen[str]]
) -> None:
    """It is shown while it runs, and stopped in the end; another arming ends the beats."""
    world.worker()
    (order_id,) = world.place("ix")
    arm = ("arm", "ix", "--pair", "btc_idr", "--timeout-ms", "6000", "--json")
    told = run(*arm)
    assert told[2] == ""
    switch_id = document(told)["id"]
    shell = beating(world, shells, switch_id, left="6s")
    eventually(lambda: document(run("beat", switch_id, "--json"))["in_time"], what="in time")
    (before,) = world.sim.timers()
    (shown,) = document(run("switches", "--json"))["switches"]
    (after,) = world.sim.timers()
    # The shell beats all the while: a renewal may come in between, and moves the timer on.
    assert before.fires_at_ms <= shown["deadline_ms"]
    assert shown["exchange_fires_ms"] <= after.fires_at_ms
    assert shown["synced_ms"] is not None

    assert document(run(*arm))["epoch"] == 2
    out, err = shell.communicate(timeout=60)
    assert shell.returncode == 1
    assert "was armed again elsewhere" in err
    assert "Traceback" not in out + err

    assert run("disarm", switch_id)[0] == 0
    eventually(lambda: not world.sim.timers(), what="the timer is stopped")
    assert world.status("ix", order_id) == "open"
