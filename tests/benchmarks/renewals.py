"""What renewing one native switch costs Redis among 100 to 10,000 of one account.

Run: `uv run python -m tests.benchmarks.renewals`
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.switchboard import ACCOUNTS, QUEUE
from worker import clock
from worker.model.constants import TEND_MS
from worker.model.names import jobs_lane, lane_of, switch_lane
from worker.model.switches import AT_ONCE, Armed, Report, Timers
from worker.store.connection import Store, connect
from worker.store.embedded import EmbeddedRedis
from worker.store.ledger import Ledger
from worker.store.switches import Switches

ALIAS = "it"
LANE = switch_lane(lane_of(ACCOUNTS[ALIAS], ALIAS))
COUNTS = (100, 1_000, 10_000)
TIMEOUT_MS = 3_600_000
RENEWALS = 200
BEATS = 2_000
HOLDER = "w1"


class Account:
    """One account's native switches, and the scripts that a worker runs for them."""

    def __init__(self, url: str) -> None:
        store = Store(connect(url, timeout_ms=5_000), prefix="cx:")
        self.client = store.client
        self.switches = Switches(store)
        self.ledger = Ledger(store, digest="bench")
        self.ledger.register([(ALIAS, ACCOUNTS[ALIAS], 0)], native={ACCOUNTS[ALIAS]})
        self.armed: list[Armed] = []

    def grow(self, count: int) -> None:
        """Arm up to so many, each in line with the exchange."""
        for n in range(len(self.armed), count):
            armed = self.switches.arm(
                switch_id=f"s{n}",
                lane=jobs_lane(LANE),
                account=ALIAS,
                native=True,
                pairs=[f"p{n}_idr"],
                order_ids=[],
                timeout_ms=TIMEOUT_MS,
                bell=(QUEUE, "bell"),
            )
            self.renew(armed, armed.deadline_ms)
            self.armed.append(armed)
        self.client.delete(f"cx:{QUEUE}")

    def renew(self, armed: Armed, fires_ms: int) -> None:
        """Do what a worker does for one renewal, but for the request itself."""
        exchange = ACCOUNTS[ALIAS]
        self.ledger.claim(exchange=exchange, holder=HOLDER, lease_ms=10_000, lane=LANE)
        self.switches.survey(LANE)
        members = ((armed.switch_id, armed.epoch),)
        launch = self.switches.launch(
            lane=LANE,
            holder=HOLDER,
            lease_ms=TEND_MS,
            urgent=True,
            flight_ms=TEND_MS,
            rules=(),
            members=members,
        )
        assert launch.verdict == "go"
        report = Report(launch.grant, timers=Timers(fires_ms, 0, members))
        self.switches.report(LANE, HOLDER, report, release=AT_ONCE)

    def lag(self, armed: Armed) -> None:
        """Let the exchange's timer of one switch lag, so that it must be renewed."""
        self.client.hset(f"cx:switch:{armed.switch_id}", "unsure", "1")
        self.client.zadd(f"cx:due:{LANE}", {armed.switch_id: 0})
        self.client.zadd("cx:lanes", {LANE: 0})

    def script_us(self) -> int:
        """Return the time that Redis has spent in scripts, in microseconds."""
        stats: Any = self.client.info("commandstats")
        return int(stats["cmdstat_evalsha"]["usec"])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as redis:
        account = Account(redis.url)
        for count in COUNTS:
            account.grow(count)
            spent, beats = [], []
            for n in range(RENEWALS):
                armed = account.armed[n * 7919 % count]
                account.lag(armed)
                before = account.script_us()
                account.renew(armed, armed.deadline_ms)
                spent.append(account.script_us() - before)
            for n in range(BEATS):
                armed = account.armed[n * 7919 % count]
                at = clock.monotonic_ms()
                account.switches.beat(armed.switch_id, armed.epoch, (QUEUE, "bell"))
                beats.append(clock.monotonic_ms() - at)
            spent.sort()
            beats.sort()
            sys.stdout.write(
                f"{count:>6} armed: a renewal costs Redis {statistics.median(spent):.0f} us "
                f"(p99 {spent[-RENEWALS // 100]} us); beat median "
                f"{statistics.median(beats):.2f} ms, p99 {beats[-BEATS // 100]:.2f} ms\n"
            )


if __name__ == "__main__":
    main()
