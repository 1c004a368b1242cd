"""An exchange's login service is down for a while, and a switch trips during the outage."""

from __future__ import annotations

from tests.support.polling import eventually
from tests.support.world import World
from worker import State

OUTAGE_PROBES = 4
"""The fourth comes 7 s after the first refusal; three refusals used to bury a job."""
WITHIN_MS = 60_000
PATHS = ("cancel", "query", "open_orders", "scope")


def test_cancels_survive_an_outage_of_the_login_service(world: World) -> None:
    """Single cancels and those of a tripped switch wait, one of them probes, and all end proven."""
    ix, bm = world.place("ix", 6, pair="btc_idr"), world.place("bm", 3, pair="BTC_USDT")
    world.worker()
    world.worker()
    producer = world.producer()
    producer.arm("bm", pairs=["BTC_USDT"], timeout_ms=1_000)
    world.sim.set_faults({"indodax_bad_sign": 1.0}, exchange="indodax")
    world.sim.set_faults({"expire_token": 1.0}, exchange="bitmart", paths=PATHS)
    tickets = producer.cancel_many("ix", ix, pair="btc_idr", side="buy")

    def refused(exchange: str, fault: str) -> int:
        journal = world.sim.journal()
        return sum(each.exchange == exchange and each.fault == fault for each in journal)

    def probes() -> tuple[int, int]:
        return refused("indodax", "indodax_bad_sign"), refused("bitmart", "expire_token")

    eventually(lambda: min(probes()) >= OUTAGE_PROBES, within_ms=WITHIN_MS)
    assert max(probes()) <= len(ix) + 3 * OUTAGE_PROBES, "one probe an account"
    assert {ticket.result().state for ticket in tickets} == {State.PENDING}
    world.sim.set_faults({}, exchange="indodax")
    world.sim.set_faults({}, exchange="bitmart")
    eventually(
        lambda: (
            all(ticket.result().proven for ticket in tickets)
            and not any(world.status("bm", order) == "open" for order in bm)
        ),
        within_ms=WITHIN_MS,
    )
