"""Many strategies, beating and never falling silent, over hours that pass in seconds."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.reconcilers import Died, StagedTransport
from tests.support.stepped_time import Stepped
from worker import clock as local_clock
from worker import factory
from worker.client.switch import renewal_bell, urgent_bell
from worker.config.settings import Http, Settings
from worker.dispatch.dispatcher import Dispatcher
from worker.factory import build_dispatcher, build_sessions, digest_of
from worker.model.constants import PRESENCE_MS
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.model.switches import Armed
from worker.simulator import Simulator
from worker.store.due_poll import DuePoll
from worker.store.ledger import Ledger
from worker.store.switches import Switches

SECRET = "secret-0123456789"
NATIVE = {f"n{n}": f"n{n}-key-0123456789" for n in range(6)}
EMULATED = {"ev": "ev-key-0123456789"}
OTHERS = ("n2", "n3", "n4", "n5")
PATIENT = ("n4", "n5")
"""Accounts of long timeouts, whose workers may be killed in mid-request."""
SHORTEST_MS, LONGEST_MS = 2_000, 120_000
PATIENT_MS = 32_000
STRATEGIES = 50
NATIVE_STRATEGIES = 16
HURRIED_MS = {"n0": (2_000, 3_500), "n1": (3_500, 7_000)}
"""Such a timeout needs much of an address's budget: they have one switch each."""
UNHURRIED_MS = 24_000
SWEEP_MS = 80
HEARTBEAT_MS = 4_000
RESTART_MS = 90_000


@dataclass
class Strategy:
    """One strategy and its switch."""

    alias: str
    exchange: str
    timeout_ms: int
    armed: Armed
    orders: list[str] = field(default_factory=list)
    beats: int = 0


class Fleet:
    """Strategies, two workers, an exchange and one stepped time for all."""

    def __init__(self, url: str, simulator: Simulator, stepped: Stepped, seed: int) -> None:
        self.rng = random.Random(f"fleet {seed}")
        self.clock = stepped
        self.sim = simulator
        self.settings = self._settings(url)
        self.switches = Switches(stepped.store())
        self.poll = DuePoll(stepped.store())
        self.ledger = Ledger(stepped.store(), digest=digest_of(build_sessions(self.settings)))
        self.killed = self.restarted = 0
        self.workers = [self._worker(), self._worker()]
        self.strategies = [*self._natives(), *self._emulated()]
        self._events: list[tuple[int, int, str, Any]] = []
        self._order = itertools.count()

    def run(self, for_ms: int) -> None:
        """Let all continue for a while."""
        begun = self.clock.now_ms
        if not self._events:
            for strategy in self.strategies:
                self._at(begun + self.rng.randrange(strategy.timeout_ms // 2), "beat", strategy)
            self._at(begun, "heartbeat", None)
            self._at(begun, "sweep", None)
            self._at(begun + RESTART_MS, "restart", None)
        while self._events[0][0] <= begun + for_ms:
            at_ms, _, what, about = heapq.heappop(self._events)
            if at_ms > self.clock.now_ms:
                self.clock.set(at_ms)
            match what:
                case "beat":
                    self._beat(about)
                    self._at(at_ms + about.timeout_ms // 2, what, about)
                case "heartbeat":
                    for worker in self.workers:
                        self.ledger.heartbeat(worker.name, ttl_ms=PRESENCE_MS)
                    self._at(at_ms + HEARTBEAT_MS, what, None)
                case "restart":
                    self._restart(self.rng.randrange(2))
                    self._at(at_ms + RESTART_MS, what, None)
                case _:
                    self._sweep()

    def _at(self, at_ms: int, what: str, about: Strategy | None) -> None:
        heapq.heappush(self._events, (at_ms, next(self._order), what, about))

    def _beat(self, strategy: Strategy) -> None:
        bell = renewal_bell(strategy.exchange)
        beaten = self.switches.beat(strategy.armed.switch_id, strategy.armed.epoch, bell)
        assert beaten.state == "armed", f"{strategy} at beat {strategy.beats}: {beaten.state}"
        # The first beats may come before the first request has gone.
        assert beaten.in_time or strategy.beats < 3, f"{strategy} not in time"
        strategy.beats += 1
        if strategy.exchange == "indodax" and self.clock.client.delete(f"cx:{bell[0]}"):
            self._work(strategy.exchange)

    def _sweep(self) -> None:
        """Do what is due, and come back when something is, as late as a sweep may be."""
        self.poll.put_back()  # Redis may have been restarted since
        first = self.poll.first_due()
        if first is not None and first <= self.clock.now_ms:
            for exchange in ("indodax", "everstrike"):
                self._work(exchange)
            first = self.poll.first_due()
        soonest = self.clock.now_ms + self.rng.randrange(1, SWEEP_MS)
        next_ms = max(soonest, round(first or 0))
        self._at(min(next_ms, self.clock.now_ms + 5_000), "sweep", None)

    def _work(self, exchange: str) -> None:
        at = self.rng.randrange(2)
        try:
            self.workers[at].run_exchange(exchange)
        except Died:
            self.killed += 1
            self.workers[at] = self._worker()

    def _restart(self, at: int) -> None:
        self.restarted += 1
        self.workers[at].stop()
        self.workers[at] = self._worker()

    def _worker(self) -> Dispatcher:
        engine = build_dispatcher(self.settings)
        engine.register()
        return engine

    def hook(self, transport: StagedTransport, step: str) -> None:
        """Let a request take its time on the way; sometimes its worker dies."""
        self.clock.advance(self.rng.randint(3, 25))
        assert transport.request is not None
        key = transport.request.headers.get("Key")
        if key in {NATIVE[alias] for alias in PATIENT} and self.rng.random() < 0.02:
            raise Died(step)

    def _natives(self) -> list[Strategy]:
        made = []
        for n in range(NATIVE_STRATEGIES):
            alias = f"n{n % len(NATIVE)}" if n < len(NATIVE) else self.rng.choice(OTHERS)
            shortest = PATIENT_MS if alias in PATIENT else UNHURRIED_MS
            timeout_ms = self.rng.randint(shortest, LONGEST_MS)
            if alias not in OTHERS:
                timeout_ms = self.rng.randint(*HURRIED_MS[alias])
            made.append(self._strategy(alias, "indodax", timeout_ms, f"p{n}_idr"))
        return made

    def _emulated(self) -> list[Strategy]:
        return [
            self._strategy("ev", "everstrike", self.rng.randint(SHORTEST_MS, LONGEST_MS), f"e{n}_x")
            for n in range(STRATEGIES - NATIVE_STRATEGIES)
        ]

    def _strategy(self, alias: str, exchange: str, timeout_ms: int, pair: str) -> Strategy:
        key = {**NATIVE, **EMULATED}[alias]
        orders = self.sim.place(exchange, key, pair=pair, count=2)
        armed = self.switches.arm(
            switch_id=new_id(),
            lane=lane_of(exchange, alias),
            account=alias,
            native=exchange == "indodax",
            pairs=[pair],
            order_ids=[],
            timeout_ms=timeout_ms,
            bell=urgent_bell(exchange),
        )
        return Strategy(alias, exchange, timeout_ms, armed, orders)

    def _settings(self, url: str) -> Settings:
        accounts: dict[str, Any] = {}
        for n, (alias, key) in enumerate(NATIVE.items()):
            self.sim.add_key("indodax", key, SECRET)
            accounts[alias] = {
                "exchange": "indodax",
                "base_url": self.sim.url("indodax"),
                "api_key": key,
                "api_secret": SECRET,
                "auth": ("nonce", "timestamp")[n % 2],
                "egress_ip": f"127.0.0.{10 + n}",
            }
        for alias, key in EMULATED.items():
            self.sim.add_key("everstrike", key, SECRET)
            accounts[alias] = {
                "exchange": "everstrike",
                "base_url": self.sim.url("everstrike"),
                "api_key": key,
                "api_secret": SECRET,
            }
        return Settings(redis_url=url, accounts=accounts)


def one_time(monkeypatch: pytest.MonkeyPatch, stepped: Stepped, fleets: list[Fleet]) -> None:
    """Have every clock of this process be the stepped one, and requests take their time."""
    monkeypatch.setattr(local_clock, "now_ms", lambda: stepped.now_ms)
    monkeypatch.setattr(local_clock, "monotonic_ms", lambda: float(stepped.now_ms))
    monkeypatch.setattr(factory, "build_store", lambda _: stepped.store())

    def transport(http: Http) -> StagedTransport:
        made = StagedTransport(http, lambda step: fleets[0].hook(made, step))
        return made

    monkeypatch.setattr(factory, "Transport", transport)
