"""An account gets a new alias while workers are restarted one by one."""

from __future__ import annotations

from pathlib import Path

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import Producer
from worker.model.outcomes import Outcome

WITHIN_MS = 30_000


def test_renaming_an_account_in_a_rolling_restart_loses_no_job(
    world: World, tmp_path: Path
) -> None:
    """No nonce is refused, and jobs accepted under the old alias are done."""
    world.aliases = ("ix",)
    old = world.worker()
    text = (world.folder / "worker.toml").read_text()
    renamed = tmp_path / "renamed.toml"
    renamed.write_text(text.replace("[accounts.ix]", "[accounts.ix-main]"))
    renamed.chmod(0o600)
    new = WorkerProcess(renamed, tmp_path / "renamed.log").start()
    world.workers.append(new)
    account = world.account("ix")
    former = Producer(world.settings(accounts={"ix": account}))
    later = Producer(world.settings(accounts={"ix-main": account}))
    switch = former.arm("ix", pairs=["eth_idr"], timeout_ms=60_000)
    eventually(world.sim.timers, what="the timer is set")
    ids = world.place("ix", 90, pair="btc_idr")
    scope = {"pair": "btc_idr", "side": "buy"}
    tickets = former.cancel_many("ix", ids[:30], **scope)
    tickets += later.cancel_many("ix-main", ids[30:60], **scope)
    old.stop()
    tickets += former.cancel_many("ix", ids[60:], **scope)
    assert {each.wait(timeout_ms=WITHIN_MS).outcome for each in tickets} == {Outcome.CANCELED}
    eventually(lambda: switch.beat().in_time, what="the switch is kept")
    switch.disarm()
    eventually(lambda: not world.sim.timers(), what="the timer is stopped")
    refused = [each for each in world.sim.journal() if each.refusal == "nonce"]
    assert refused == []
