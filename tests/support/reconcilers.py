"""Keepers on a stepped clock against the real simulator, stopped at any of their steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.stepped_time import Stepped
from tests.support.switchboard import Board
from worker import clock as local_clock
from worker.config.settings import Http, Settings
from worker.factory import build_sessions
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.http.transport import Transport
from worker.gateway.sender import Sender
from worker.model.names import switch_lane
from worker.model.switches import Launch, NativeSwitch, Release, Report
from worker.model.wire import Reply, Request
from worker.simulator import Arrival, Simulator
from worker.store.connection import Store
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.switches import Switches
from worker.store.trips import Trips
from worker.switches.reconciler import Reconciler

API_KEYS = {"ix": "ix-key-0123456789", "it": "it-key-0123456789"}
API_SECRET = "secret-0123456789"
EGRESS = {"ix": "127.0.0.1", "it": "127.0.0.2"}

Hook = Callable[[str], None]
"""Called before each step of a keeper: survey, launch, launched, nonce, send, replied,
report (before another request), release. It may let time pass, do what others do, or raise
`Died`."""


class Died(BaseException):
    """The worker was killed here."""


def go_on(_: str) -> None:
    """Do nothing in between."""


class StagedSwitches(Switches):
    """The switches, with a step before each call."""

    def __init__(self, store: Store, hook: Hook) -> None:
        super().__init__(store)
        self.hook = hook
        self.lease_ms = 0
        """For how long the last leave held the account."""
        self.launches: list[tuple[Launch, tuple[tuple[str, int], ...]]] = []

    def survey(
        self, lane: str, holder: str = "", *, every: bool = False
    ) -> tuple[int, list[NativeSwitch]]:
        """Survey, after a step."""
        self.hook("survey")
        return super().survey(lane, holder, every=every)

    def launch(self, *, members: Sequence[tuple[str, int]], **options: Any) -> Launch:
        """Launch, between two steps."""
        self.hook("launch")
        launch = super().launch(members=members, **options)
        if launch.verdict == "go":
            self.lease_ms = int(options["lease_ms"])
        self.launches.append((launch, tuple(members)))
        self.hook("launched")
        return launch

    def report(
        self,
        lane: str,
        holder: str,
        report: Report | None = None,
        *,
        release: Release | None = None,
    ) -> None:
        """Report, after a step."""
        self.hook("report" if release is None else "release")
        super().report(lane, holder, report, release=release)


class StagedNonces(Nonces):
    """The nonces, with a step before each."""

    def __init__(self, store: Store, hook: Hook) -> None:
        super().__init__(store)
        self.hook = hook

    def allocate(self, api_key: str, offered: str = "") -> int:
        """Allocate, after a step."""
        self.hook("nonce")
        return super().allocate(api_key, offered)


class StagedTransport(Transport):
    """The real transport, between two steps."""

    def __init__(self, http: Http, hook: Hook) -> None:
        super().__init__(http)
        self.hook = hook
        self.request: Request | None = None

    def send(
        self, request: Request, *, egress_ip: str | None, deadline_ms: int, body_max: int = 0
    ) -> Reply:
        """Send, between two steps."""
        self.request = request
        self.hook("send")
        bounds = {"deadline_ms": deadline_ms, "body_max": body_max}
        reply = super().send(request, egress_ip=egress_ip, **bounds)
        self.hook("replied")
        return reply


class Keeping:
    """Redis, exchange and local clocks as one, and keepers to be stopped at will."""

    secret = API_SECRET

    def __init__(self, url: str, simulator: Simulator, stepped: Stepped) -> None:
        self.sim = simulator
        self.board = Board(url, stepped)
        for key in API_KEYS.values():
            simulator.add_key("indodax", key, API_SECRET)
        self.settings = Settings(
            redis_url=url,
            accounts={
                alias: {
                    "exchange": "indodax",
                    "base_url": simulator.url("indodax"),
                    "api_key": key,
                    "api_secret": API_SECRET,
                    "auth": "nonce" if alias == "ix" else "timestamp",
                    "egress_ip": EGRESS[alias],
                }
                for alias, key in API_KEYS.items()
            },
        )

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.board.now_ms

    def lanes(self) -> dict[str, AccountSession]:
        """Return the accounts as a new worker process sees them."""
        return build_sessions(self.settings)

    def worker(self, hook: Hook = go_on) -> KeeperAtWork:
        """Return a new worker process's keeper."""
        return KeeperAtWork(self, hook)

    def countdowns(self, alias: str = "ix") -> list[Arrival]:
        """Return the countdown requests that arrived for an account."""
        return [
            arrival
            for arrival in self.sim.journal()
            if arrival.operation == "countdown" and arrival.api_key == API_KEYS[alias]
        ]

    def timers(self, alias: str = "ix") -> dict[str, int]:
        """Return when the exchange's timers fire, by pair."""
        key = API_KEYS[alias]
        return {
            timer.pair: round(timer.fires_at_ms)
            for timer in self.sim.timers()
            if timer.api_key == key
        }

    def settle(self, alias: str = "ix", *, within_ms: int = 60_000) -> int:
        """Let a worker reconcile an account until nothing is due; return how long it took."""
        worker = self.worker()
        begun = self.now_ms
        while True:
            worker.tend(alias)
            if not self.board.out_of_line(alias):
                return self.now_ms - begun
            at = self.board.lane_ms(alias)
            assert at is not None
            assert at - begun <= within_ms, "not in line in time"
            self.board.clock.set(max(self.now_ms, round(at)))

    def settle_once(self, worker: KeeperAtWork, alias: str = "ix") -> None:
        """Reconcile an account as soon as it is due."""
        at = self.board.lane_ms(alias)
        assert at is not None
        self.board.clock.set(max(self.now_ms, round(at)))
        worker.tend(alias)


class KeeperAtWork:
    """One worker process's keeper, and what it uses."""

    def __init__(self, keeping: Keeping, hook: Hook) -> None:
        store = keeping.board.clock.store()
        self.board = keeping.board
        self.switches = StagedSwitches(store, hook)
        self.transport = StagedTransport(keeping.settings.http, hook)
        self.sessions = AccountSessions(keeping.lanes())
        self.keeper = Reconciler(
            settings=keeping.settings,
            lanes=self.sessions,
            switches=self.switches,
            trips=Trips(store),
            limiter=Limiter(store),
            sender=Sender(StagedNonces(store, hook), self.transport, keeping.settings.http),
            rng=random.Random(),
        )

    def tend(self, alias: str = "ix", holder: str = "w1") -> bool:
        """Claim an account's switches and bring the exchange in line; return whether held."""
        claimed = self.board.claim(alias, holder)
        if claimed.tended:
            self.keeper.tend(switch_lane(f"indodax:{alias}"), holder)
        return bool(claimed.tended)


@contextmanager
def stand(url: str, monkeypatch: pytest.MonkeyPatch, *, seed: int = 7) -> Iterator[Keeping]:
    """Set up Redis, exchange and local clock on one stepped time."""
    stepped = Stepped(url)
    monkeypatch.setattr(local_clock, "now_ms", lambda: stepped.now_ms)
    monkeypatch.setattr(local_clock, "monotonic_ms", lambda: float(stepped.now_ms))
    with Simulator(seed, clock=lambda: float(stepped.now_ms)) as simulator:
        yield Keeping(url, simulator, stepped)
