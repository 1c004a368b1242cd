"""Short runs, each of which one planted bug cannot pass, and the program must."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.chaos.checks import cancels, switches, traffic
from tests.chaos.collect import collect, settled
from tests.chaos.history import Fault, History
from tests.chaos.links import ROOT
from tests.chaos.messenger import Messenger
from tests.chaos.planted import Bug, in_producer
from tests.chaos.stage import Stage
from tests.chaos.strategies import Character, Holder
from tests.chaos.workload import PAIR, Teller
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import KEYS
from worker import Producer, clock

SWITCH_MS = 1_000
"""As short as a timeout may be."""
NATIVE_MS = 8_000
FROZEN_MS = 6_000
APART_MS = 20
LONG_MS = 10_000
STEPPED_MS = 4_000
STEP_MS = 12_000
LATER_MS = switches.READ_MS + SWITCH_MS
JUMP_MS = 15_000
BURST = 10
TAKEN_MORE_MS = 500
SETTLE_MS = 20_000


def early_ack(stage: Stage) -> None:
    """Redis is killed, and producers call while it is down."""
    teller = Teller(stage)
    ids = stage.world.place("ev", 4, pair=PAIR)
    teller.cancel("ev", ids[:1])
    settled(stage, within_ms=SETTLE_MS, switches=False)
    from_ms = clock.now_ms()
    stage.redis.harm("kill")
    for order_id in ids[1:]:
        teller.cancel("ev", [order_id])
    stage.redis.mend("kill")
    stage.recorder.fault(Fault("redis.kill", "redis", from_ms, clock.now_ms()))


def early_task_ack(stage: Stage) -> None:
    """The worker that has long taken another client's messages is killed."""
    teller = Teller(stage)
    slot = next(iter(stage.slots.values()))
    for order_id in stage.world.place("ev", 3, pair=PAIR):
        teller.cancel_plain("ev", order_id)
    # What is lost in a fault sooner than this might be lost by Celery's transport.
    clock.sleep_ms(cancels.TAKEN_MS + TAKEN_MORE_MS)
    from_ms = clock.now_ms()
    stage.signal(slot, signal.SIGKILL)
    stage.start(slot)
    stage.recorder.fault(Fault("worker.kill", slot.name, from_ms, clock.now_ms()))
    eventually(lambda: slot.ready_ms, within_ms=60_000, what=f"{slot.name} is back")


def not_found(stage: Stage) -> None:
    """Orders are filled before their cancels arrive; the exchange calls them not found."""
    teller = Teller(stage)
    stage.sim.set_option("everstrike_closed", 404)
    for account in ("ev", "ix"):
        ids = stage.world.place(account, 2, pair=PAIR)
        for order_id in ids:
            stage.sim.fill(KEYS[account][0], order_id)
        teller.cancel(account, ids)


def no_epoch(stage: Stage) -> None:
    """A strategy is started a second time and falls silent; the first keeps beating."""
    stage.world.place("ev", 1, pair="e_idr")
    first, second = (Holder(stage, stage.producer(), "ev", "e_idr") for _ in range(2))
    first.arm(SWITCH_MS)
    first.beat()
    second.arm(SWITCH_MS)
    until = clock.monotonic_ms() + 1.5 * SWITCH_MS
    while clock.monotonic_ms() < until and first.beat() == "ok":
        clock.sleep_ms(SWITCH_MS / 5)


def local_clock(stage: Stage) -> None:
    """A worker's clock jumps on when it has used up the limit, and there is more to send."""
    producer = stage.producer()
    slot = next(iter(stage.slots.values()))

    def burst(first: int) -> None:
        for n in range(first, first + BURST):
            # Deadlines so far apart that no two share a request.
            timeout_ms = round(60_000 * 1.25**n)
            Holder(stage, producer, "it", f"l{n}_idr").arm(timeout_ms)

    def sent() -> int:
        return sum(arrival.operation == "countdown" for arrival in stage.sim.journal())

    burst(0)
    eventually(lambda: sent() >= BURST)
    stage.set_clock(slot, JUMP_MS)
    from_ms = clock.now_ms()
    burst(BURST)
    # Past a sweep and the way there: who would send has sent by now.
    until = clock.monotonic_ms() + 1_000
    eventually(lambda: sent() > BURST or clock.monotonic_ms() > until)
    stage.set_clock(slot, 0)
    stage.recorder.fault(Fault("clock.jump", slot.name, from_ms, clock.now_ms()))


def early_outcome(stage: Stage) -> None:
    """The exchange closes the connection on a cancel, and does nothing."""
    teller = Teller(stage)
    ids = stage.world.place("ev", 3, pair=PAIR)
    stage.sim.fault_next("drop_before", exchange="everstrike", times=2, paths=["cancel"])
    for order_id in ids:
        teller.cancel("ev", [order_id])


def late_bytes(stage: Stage) -> None:
    """A renewal is on its way when the network goes; its worker is killed, and the network back."""
    slot = next(iter(stage.slots.values()))
    (order_id,) = stage.world.place("ix", 1, pair="b_idr")
    holder = Holder(stage, stage.producer(), "ix", "b_idr")
    holder.arm(NATIVE_MS)
    client = stage.redis.client()
    switch = f"cx:switch:{holder.switch_id}"
    eventually(lambda: client.hget(switch, "synced_ms"), what="the exchange has the timer")
    with _fault(stage, "exchange-link.hold", slot.name):
        stage.links.turn(f"{slot.name}-exchange", "hold")
        until = clock.monotonic_ms() + NATIVE_MS
        while not client.hget(switch, "unsure") and clock.monotonic_ms() < until:
            clock.sleep_ms(NATIVE_MS / 20)
            holder.beat()
        with _fault(stage, "worker.kill", slot.name):
            stage.signal(slot, signal.SIGKILL)
            # Its strategy is silent; half of the time is over when the network is back.
            clock.sleep_ms(NATIVE_MS / 2)
            stage.links.turn(f"{slot.name}-exchange", "pass")
            eventually(lambda: stage.world.status("ix", order_id) != "open", within_ms=20_000)
            stage.start(slot)
    client.close()
    eventually(lambda: slot.ready_ms, within_ms=60_000, what=f"{slot.name} is back")


def late_beat(stage: Stage) -> None:
    """Redis is frozen when a strategy beats for the last time."""
    (order_id,) = stage.world.place("ev", 1, pair="f_idr")
    holder = Holder(stage, stage.producer(), "ev", "f_idr")
    holder.arm(FROZEN_MS)
    holder.beat()
    with _fault(stage, "redis.stop", "redis"):
        stage.redis.harm("stop")
        holder.beat()
        clock.sleep_ms(0.7 * FROZEN_MS)
        stage.redis.mend("stop")
    eventually(lambda: stage.world.status("ev", order_id) != "open", within_ms=20_000)


def late_arm(stage: Stage) -> None:
    """An arming is held back; its strategy arms by another way, and disarms."""
    slot = next(iter(stage.slots.values()))
    stage.world.place("ev", 1, pair="g_idr")
    first = Holder(stage, stage.producer(), "ev", "g_idr")
    second = Holder(stage, in_producer(stage.bug, slot.world.producer()), "ev", "g_idr")
    stage.world.place("ev", 1, pair="warm_idr")
    warm = Holder(stage, first.producer, "ev", "warm_idr")
    warm.arm(NATIVE_MS)
    with _fault(stage, "producer-link.hold", "producers"):
        stage.links.turn("producers-redis", "hold")
        first.arm(SWITCH_MS)
        second.arm(SWITCH_MS)
        second.beat()
        second.disarm()
        stage.links.turn("producers-redis", "pass")
    warm.disarm()
    clock.sleep_ms(3 * SWITCH_MS)


def reordered(stage: Stage) -> None:
    """A message that disarms is read before an older one that arms."""
    stage.world.place("ev", 1, pair="h_idr")
    messenger = Messenger(stage, "r", Character("ev", (LATER_MS, LATER_MS)), stop=threading.Event())
    messenger.end("h_idr", LATER_MS, overtaken=True)
    clock.sleep_ms(LATER_MS + SWITCH_MS)


def no_clearing(stage: Stage) -> None:
    """A strategy comes back while the list of its former life's trip fails, and trades on."""
    stage.world.place("ev", 1, pair="k_idr")
    first, second = (Holder(stage, stage.producer(), "ev", "k_idr") for _ in range(2))
    first.arm(SWITCH_MS)
    with _fault(stage, "exchange.html_5xx", "exchanges"):
        stage.sim.set_faults({"html_5xx": 1.0}, exchange="everstrike", paths=("open_orders",))
        clock.sleep_ms(2 * SWITCH_MS)
        said = second.arm(LONG_MS)
        if said == "ok":
            stage.world.place("ev", 1, pair="k_idr")
        stage.sim.set_faults({})
    until = clock.monotonic_ms() + LONG_MS / 2
    while said == "ok" and clock.monotonic_ms() < until and second.beat() == "ok":
        clock.sleep_ms(SWITCH_MS / 5)
    if said == "ok":
        second.disarm()


def shared_key(stage: Stage) -> None:
    """A worker knows the account by another alias; strategies arm one pair under each."""
    slot = next(iter(stage.slots.values()))
    text = slot.world.config().read_text()
    renamed = stage.folder / "renamed.toml"
    renamed.write_text(text.replace("[accounts.ix]", "[accounts.ix-new]"))
    renamed.chmod(0o600)
    environment = {"CHAOS_BUG": stage.bug.value if stage.bug else "", "PYTHONPATH": str(ROOT)}
    worker = WorkerProcess(
        renamed, stage.folder / "renamed.log", app="tests.chaos.child", environment=environment
    ).start()
    try:
        account = slot.world.account("ix")
        settings = slot.world.settings(accounts={"ix-new": account})
        later = in_producer(stage.bug, Producer(settings))
        first = Holder(stage, stage.producer(), "ix", "n_idr")
        second = Holder(stage, later, "ix", "n_idr", alias="ix-new")
        first.arm(NATIVE_MS)
        clock.sleep_ms(APART_MS)
        second.arm(NATIVE_MS)
        clock.sleep_ms(APART_MS)
        first.beat()
        second.disarm()
    finally:
        worker.stop()


def stepped(stage: Stage) -> None:
    """The clock of Redis's host steps on while a strategy beats, and back again."""
    stage.world.place("ev", 1, pair="q_idr")
    holder = Holder(stage, stage.producer(), "ev", "q_idr")
    holder.arm(STEPPED_MS)
    for ms in (STEP_MS, -STEP_MS):
        stage.step(ms)
        until = clock.monotonic_ms() + STEPPED_MS
        while clock.monotonic_ms() < until and holder.beat() in ("ok", "maybe"):
            clock.sleep_ms(STEPPED_MS / 10)
    holder.disarm()


@contextlib.contextmanager
def _fault(stage: Stage, kind: str, target: str) -> Iterator[None]:
    """Take a fault down with its times."""
    from_ms = clock.now_ms()
    yield
    stage.recorder.fault(Fault(kind, target, from_ms, clock.now_ms()))


RUNS: Mapping[Bug, tuple[Callable[[Stage], None], str]] = {
    Bug.EARLY_ACK: (early_ack, cancels.LOST),
    Bug.EARLY_TASK_ACK: (early_task_ack, cancels.LOST),
    Bug.NOT_FOUND: (not_found, cancels.WRONG),
    Bug.NO_EPOCH: (no_epoch, switches.OLD_EPOCH),
    Bug.LOCAL_CLOCK: (local_clock, traffic.LIMIT),
    Bug.EARLY_OUTCOME: (early_outcome, cancels.WRONG),
    Bug.LATE_BYTES: (late_bytes, switches.STALE),
    Bug.LATE_BEAT: (late_beat, switches.LATE),
    Bug.LATE_ARM: (late_arm, switches.FALSE),
    Bug.REORDERED: (reordered, switches.REARMED),
    Bug.NO_CLEARING: (no_clearing, switches.FALSE),
    Bug.SHARED_KEY: (shared_key, switches.OLD_EPOCH),
    Bug.STEPPED: (stepped, switches.FALSE),
}
"""The run that shows each bug, and the promise that the checker must find broken."""


def history_of(folder: Path, bug: Bug, *, planted: bool) -> History:
    """Carry out the run of a bug, with it or without; return what happened."""
    with Stage(folder, seed=1, workers=1, beat=False, bug=bug if planted else None) as stage:
        return played(stage, bug)


def played(stage: Stage, *bugs: Bug) -> History:
    """Carry out the runs of bugs on a stage; return what happened."""
    for bug in bugs:
        RUNS[bug][0](stage)
        settled(stage, within_ms=SETTLE_MS, switches=False)
    return collect(stage, end_ms=clock.now_ms())
