"""Another program spends the budget that an exchange counts for both."""

from __future__ import annotations

from pathlib import Path

from tests.support.attempts import HTTP, Attempts
from tests.support.exchange_clients import ask
from tests.support.world import World
from worker.model.decisions import Done, PutBack
from worker.simulator import Simulator

LIST_ALL, MOST = 40, 2_400
"""What a list of all symbols weighs, and what an address may use in a minute."""
LEFT = 40


def test_no_more_is_sent_than_the_exchange_says_is_left(
    sim: Simulator, redis_url: str, tmp_path: Path
) -> None:
    """The first reply says what another program of this address has used."""
    world = World(sim, redis_url, tmp_path, aliases=("bu",))
    attempts = Attempts(world, http=HTTP)
    for _ in range((MOST - LEFT) // LIST_ALL):
        ask(sim.url("binanceusdm"), "GET", "/fapi/v1/openOrders")
    for order in world.place("bu", LEFT + 5):
        attempts.accept("bu", order)
    decisions = []
    for _ in range(LEFT + 5):
        job = attempts.claim("bu")
        assert job is not None
        decisions.append(type(attempts.attempt(job).decision))
    assert decisions == [Done] * LEFT + [PutBack] * 5
    assert not [arrival for arrival in sim.journal() if arrival.refusal == "rate"]
    world.close()
