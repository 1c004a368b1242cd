"""Switches, ledger and limiter on one stepped clock, as the tests of switches need them."""

from __future__ import annotations

from typing import Any

import redis

from tests.support.stepped_time import Stepped
from worker.client.switch import Switch
from worker.exchanges import EXCHANGES
from worker.model.constants import TEND_MS
from worker.model.jobs import Job, Kind
from worker.model.limits import Rule
from worker.model.names import lane_of, switch_lane
from worker.model.settlements import Claimed, new_id
from worker.model.switches import Armed, Beaten, Launch, NativeSwitch, Release, Report, Timers
from worker.store.ledger import Ledger
from worker.store.switches import Switches

ACCOUNTS = {"ix": "indodax", "it": "indodax", "ev": "everstrike"}
"""`ix` is native and its requests go one at a time, `it` is native, `ev` emulated."""
LANES = (("ix", "indodax", 1), ("it", "indodax", 0), ("ev", "everstrike", 0))
TIMEOUT_MS = 20_000
QUEUE = "bells"
RULES = (Rule("countdown", 10, 10_000, paced=True),)


class Board:
    """Everything about switches in one Redis, on time that is stopped."""

    def __init__(self, url: str, clock: Stepped | None = None) -> None:
        self.clock = clock or Stepped(url)
        self.client: redis.Redis = self.clock.client
        store = self.clock.store()
        self.switches = Switches(store)
        self.ledger = Ledger(store, digest="board")
        self.register()

    def register(self) -> None:
        """Register the accounts, as a worker does at its start."""
        self.ledger.register(LANES, native={"indodax"})

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.clock.now_ms

    def arm(self, alias: str = "ix", **options: Any) -> Armed:
        """Arm a scope, one pair by default."""
        scoped = "pairs" in options or "order_ids" in options
        defaults: dict[str, Any] = {
            "switch_id": new_id(),
            "lane": lane_of(ACCOUNTS[alias], alias),
            "account": alias,
            "native": ACCOUNTS[alias] == "indodax",
            "pairs": [] if scoped else ["btc_idr"],
            "order_ids": [],
            "timeout_ms": TIMEOUT_MS,
            "bell": (QUEUE, "urgent"),
        }
        return self.switches.arm(**{**defaults, **options})

    def beat(self, armed: Armed, *, epoch: int | None = None) -> Beaten:
        """Beat as the holder, or of another epoch."""
        at = armed.epoch if epoch is None else epoch
        return self.switches.beat(armed.switch_id, at, (QUEUE, "renewal BELL"))

    def disarm(self, armed: Armed, *, epoch: int | None = None) -> str:
        """Disarm as the holder, or of another epoch."""
        at = armed.epoch if epoch is None else epoch
        return self.switches.disarm(armed.switch_id, at, (QUEUE, "urgent"))

    def track(self, armed: Armed, *order_ids: str, add: bool = True) -> tuple[str, str]:
        """Track orders, or untrack them."""
        return self.switches.track(armed.switch_id, armed.epoch, order_ids, add=add)

    def handle(self, armed: Armed, alias: str) -> Switch:
        """Return what a strategy holds of a switch."""
        return Switch(
            self.switches,
            EXCHANGES[ACCOUNTS[alias]],
            switch_id=armed.switch_id,
            account=alias,
            epoch=armed.epoch,
        )

    def claim(self, alias: str = "ix", holder: str = "w1") -> Claimed:
        """Reconcile the switches of an account, as a worker does."""
        lane = switch_lane(lane_of(ACCOUNTS[alias], alias))
        return self.ledger.claim(
            exchange=ACCOUNTS[alias], holder=holder, lease_ms=10_000, lane=lane
        )

    def survey(self, alias: str = "ix") -> list[NativeSwitch]:
        """Return the switches of an account whose timers the exchange holds."""
        return self.switches.survey(switch_lane(lane_of(ACCOUNTS[alias], alias)))[1]

    def launch(self, armed: Armed, holder: str = "w1", alias: str = "ix", **options: Any) -> Launch:
        """Ask for leave to send a countdown for one switch."""
        defaults: dict[str, Any] = {
            "lane": switch_lane(lane_of(ACCOUNTS[alias], alias)),
            "holder": holder,
            "lease_ms": TEND_MS,
            "urgent": True,
            "flight_ms": TEND_MS,
            "rules": RULES,
            "members": [(armed.switch_id, armed.epoch)],
        }
        return self.switches.launch(**{**defaults, **options})

    def synced(self, armed: Armed, fires_ms: int, *, holder: str = "w1", alias: str = "ix") -> None:
        """Record when the exchange's timer fires."""
        lane = switch_lane(lane_of(ACCOUNTS[alias], alias))
        members = ((armed.switch_id, armed.epoch),)
        self.switches.report(lane, holder, Report(timers=Timers(fires_ms, 0, members)))

    def rest(self, alias: str = "ix", holder: str = "w1", *, pause_ms: int = 0) -> None:
        """Give the account's switches up."""
        lane = switch_lane(lane_of(ACCOUNTS[alias], alias))
        self.switches.report(lane, holder, release=Release(pause_ms=pause_ms))

    def in_line(self, armed: Armed, alias: str = "ix", *, fires_ms: int = 0) -> None:
        """Bring the exchange in line with one switch: by default at its deadline."""
        assert self.claim(alias).tended
        assert self.launch(armed, alias=alias).verdict == "go"
        self.synced(armed, fires_ms or armed.deadline_ms, alias=alias)
        self.rest(alias)

    def stop(self, armed: Armed, alias: str = "ix") -> None:
        """Bring the exchange in line with a switch that was disarmed."""
        assert self.claim(alias).tended
        stopped = Armed(armed.switch_id, armed.epoch + 1)
        assert self.launch(stopped, alias=alias).verdict == "go"
        self.synced(stopped, 0, alias=alias)
        self.rest(alias)

    def state(self, armed: Armed) -> str:
        """Return the state that a switch is in."""
        record = self.switches.get(armed.switch_id)
        return record.state if record else "unknown"

    def fires_ms(self, armed: Armed) -> int | None:
        """Return when the exchange's timer is known to fire."""
        record = self.switches.get(armed.switch_id)
        assert record is not None
        return record.fires_ms

    def out_of_line(self, alias: str = "ix", *, put_off: bool = True) -> list[str]:
        """Return the switches that the exchange is not in line with, or not those put off."""
        lane = switch_lane(lane_of(ACCOUNTS[alias], alias))
        ids: Any = self.client.zrange(f"cx:due:{lane}", 0, -1)
        found = []
        for switch_id in ids:
            record = self.switches.get(switch_id)
            assert record is not None
            if self.client.hget(f"cx:switch:{switch_id}", "native") == "0":
                continue  # workers hold it, and the exchange has no timer
            lag_ms = record.deadline_ms - (record.fires_ms or 0)
            unsure = self.client.hexists(f"cx:switch:{switch_id}", "unsure")
            way_ms = int(str(self.client.hget(f"cx:switch:{switch_id}", "way_ms") or 0))
            half = (record.fires_ms or 0) - self.now_ms <= record.timeout_ms / 2
            share = 32 if half else 4
            lags = lag_ms < 0 or lag_ms - way_ms >= record.timeout_ms / share + half
            until: Any = self.client.hget(f"cx:switch:{switch_id}", "put_off_ms") or 0
            late = int(until) > self.now_ms and not put_off
            if (record.state == "disarmed" or lags or unsure) and not late:
                found.append(switch_id)
        return found

    def list_scopes(self, alias: str = "ix", *pairs: str) -> None:
        """Have the cancel-alls of an account, or of these pairs, as after their first list."""
        for job in self.jobs(alias):
            if job.kind is Kind.CANCEL_ALL and (not pairs or job.pair in pairs):
                self.client.hset(f"cx:job:{job.id}", mapping={"phase": "list", "streak": 0})

    def jobs(self, alias: str = "ix") -> list[Job]:
        """Return the account's pending jobs, in order of their ids."""
        jobs = self.ledger.pending(limit=1_000, account=alias)
        return sorted(jobs, key=lambda job: job.id)

    def bells(self) -> list[str]:
        """Take what was rung, oldest first."""
        rung: Any = self.client.lrange(f"cx:{QUEUE}", 0, -1)
        self.client.delete(f"cx:{QUEUE}")
        return [str(message) for message in rung[::-1]]

    def due_ms(self, armed: Armed, alias: str = "ix") -> float | None:
        """Return when a worker must next look at a switch; None if none will."""
        lane = switch_lane(lane_of(ACCOUNTS[alias], alias))
        score: float | None = self.client.zscore(f"cx:due:{lane}", armed.switch_id)  # type: ignore[assignment]
        return score

    def lane_ms(self, alias: str = "ix") -> float | None:
        """Return when a worker must next look at an account's switches."""
        score: float | None = self.client.zscore(
            "cx:lanes", switch_lane(lane_of(ACCOUNTS[alias], alias))
        )  # type: ignore[assignment]
        return score
