"""Deaths at the worst moment with nothing else broken, to measure how soon work continues."""

from __future__ import annotations

import signal

from tests.chaos.collect import settled
from tests.chaos.history import Fault
from tests.chaos.stage import Slot, Stage
from tests.chaos.workload import PAIR, Teller
from tests.support.polling import eventually
from worker import Ticket, clock

AT_ONCE = 12
BACKLOG = 60
SETTLE_MS = 30_000


def drill(stage: Stage, rounds: int) -> None:
    """Kill a worker with requests under way, and Redis with jobs in it, so often each."""
    teller = Teller(stage)
    for _ in range(rounds):
        _kill_a_worker(stage, teller)
        _kill_redis(stage, teller)


def _kill_a_worker(stage: Stage, teller: Teller) -> None:
    ids = stage.world.place("ev", AT_ONCE, pair=PAIR)
    # All of a long run's journal takes longer to read than the delay lasts.
    seen = len(stage.sim.journal())
    stage.sim.fault_next("delay", exchange="everstrike", times=AT_ONCE, paths=["cancel"])
    tickets = [ticket for order_id in ids for ticket in teller.cancel("ev", [order_id])]
    found = eventually(
        lambda: _holders(stage, tickets, after=seen), what="a worker with jobs in hand"
    )
    victim = found[0]
    from_ms = clock.now_ms()
    stage.signal(victim, signal.SIGKILL)
    stage.start(victim)
    stage.recorder.fault(Fault("worker.kill", victim.name, from_ms, clock.now_ms()))
    settled(stage, within_ms=SETTLE_MS)
    eventually(lambda: victim.ready_ms, within_ms=60_000, what=f"{victim.name} is back")


def _kill_redis(stage: Stage, teller: Teller) -> None:
    teller.cancel("bm", stage.world.place("bm", BACKLOG, pair=PAIR))
    from_ms = clock.now_ms()
    fault = stage.redis.death
    stage.redis.harm(fault)
    eventually(lambda: stage.redis.mend(fault), within_ms=60_000, what="Redis takes writes")
    stage.recorder.fault(Fault(f"redis.{fault}", "redis", from_ms, clock.now_ms()))
    settled(stage, within_ms=SETTLE_MS)


def _holders(stage: Stage, tickets: list[Ticket], *, after: int) -> list[Slot]:
    """Return the places of workers that hold one of these jobs and have sent it."""
    sent = {order for arrival in stage.sim.journal(after) for order in arrival.order_ids}
    jobs = stage.world.ledger().many([ticket.id for ticket in tickets])
    pids = {
        int(job.claimed_by.split(":")[1])
        for job in jobs
        if job is not None and job.claimed_by and job.order_id in sent
    }
    return [slot for slot in stage.slots.values() if slot.ready_ms and slot.pid in pids]
