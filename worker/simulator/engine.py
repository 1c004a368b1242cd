"""One request, from its arrival to what leaves for it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from worker.simulator.clock import http_date
from worker.simulator.countdowns import CHECK_EVERY_MS, Timer
from worker.simulator.exchange import Call, Exchange, Verdict
from worker.simulator.fault_plan import FaultPlan
from worker.simulator.faults import Fault
from worker.simulator.journal import PAIRS, Arrival, Reading
from worker.simulator.options import Options
from worker.simulator.profiled.api import Profiled
from worker.simulator.venues import MOUNTS, PROFILED, SIMULATED
from worker.simulator.wire import (
    Delivery,
    Manner,
    Reply,
    Request,
    html_reply,
    json_reply,
)


class Engine:
    """The exchanges, their clock, their faults and the journal.

    One lock is held over each request, so that `seq`, `at_ms`, limits, nonces
    and random numbers all agree on one order of arrival.
    """

    def __init__(self, seed: int, options: Options, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.options = options
        made: list[Exchange] = [make(seed, options) for make in SIMULATED]
        made += [Profiled(name, seed, options) for name in PROFILED]
        self.exchanges: Mapping[str, Exchange] = {each.name: each for each in made}
        for exchange in made:
            exchange.join(self.exchanges)
        self.plan = FaultPlan(self.exchanges)
        self.journal: list[Arrival] = []
        self.skew_ms = 0.0
        self.stepped_ms = 0.0
        self._clock = clock

    def now_ms(self) -> float:
        """Return the host's time, with the steps that tests have made."""
        return self._clock() + self.stepped_ms

    def timers(self) -> list[Timer]:
        """Return the running countdowns of all exchanges, soonest first."""
        found = [timer for exchange in self.exchanges.values() for timer in exchange.timers()]
        return sorted(found, key=lambda timer: timer.fires_at_ms)

    def waiting(self) -> bool:
        """Return whether time alone will change something."""
        return any(exchange.waiting() for exchange in self.exchanges.values())

    def tick(self, late_ms: float = 0.0) -> None:
        """Let every exchange do what came due at least `late_ms` ago."""
        with self.lock:
            at_ms = self.now_ms() - late_ms
            for exchange in self.exchanges.values():
                exchange.tick(at_ms)

    def receive(self, request: Request) -> Delivery:
        """Take a request whose bytes have all been read."""
        with self.lock:
            # However late the ticking thread runs, a countdown that a check
            # every 10 ms would have seen run out is not revived.
            self.tick(late_ms=CHECK_EVERY_MS)
            at_ms = self.now_ms()
            exchange = self._mounted(request.path)
            if exchange is None:
                return Delivery(json_reply(404, {"error": "no exchange is mounted here"}))
            dice = random.Random(exchange.dice.getrandbits(64))  # noqa: S311
            reading = exchange.read(request)
            if reading.operation == PAIRS:
                return Delivery(_pair_list(exchange, reading), date=http_date(at_ms))
            call = Call(request, reading, at_ms, at_ms + self.skew_ms, dice)
            fault = self.plan.draw(exchange, call)
            verdict = exchange.admit(call) or _counted(exchange, call, fault)
            self._record(exchange, call, fault, verdict)
            return self._dispatch(exchange, call, fault, verdict)

    def _mounted(self, path: str) -> Exchange | None:
        for name, mount in MOUNTS.items():
            if path == mount or path.startswith(f"{mount}/"):
                return self.exchanges[name]
        return None

    def _record(
        self, exchange: Exchange, call: Call, fault: Fault | None, verdict: Verdict
    ) -> None:
        reading = call.reading
        self.journal.append(
            Arrival(
                seq=len(self.journal) + 1,
                at_ms=call.at_ms,
                exchange=exchange.name,
                source=call.request.source,
                method=call.request.method,
                path=call.request.path,
                operation=reading.operation,
                api_key=reading.api_key,
                nonce=reading.nonce,
                timestamp_ms=reading.timestamp_ms,
                order_ids=reading.order_ids,
                pairs=reading.pairs,
                countdown_ms=reading.countdown_ms,
                token_fingerprint=reading.token_fingerprint,
                fault=fault.name if fault else None,
                applied=verdict.applied,
                refusal=verdict.refusal,
            )
        )

    def _dispatch(
        self, exchange: Exchange, call: Call, fault: Fault | None, verdict: Verdict
    ) -> Delivery:
        date = http_date(call.now_ms)
        if fault is None:
            return Delivery(verdict.reply, date=date)
        replace = fault.reply_on(exchange)
        reply = replace(call) if replace else verdict.reply
        pause_ms = self.options.drip_ms
        if fault.manner is Manner.LATE:
            pause_ms = self.options.delay_ms
        return Delivery(reply, fault.manner, pause_ms, date)


def _pair_list(exchange: Exchange, reading: Reading) -> Reply:
    """Answer a public request: no fault meets it, and it is not in the journal."""
    match exchange.options.pair_lists:
        case "html":
            return html_reply(200)
        case "down":
            return html_reply(503)
        case "empty":
            return json_reply(200, exchange.list_pairs(reading, ()))
        case _:
            return json_reply(200, exchange.list_pairs(reading, exchange.pairs))


def _counted(exchange: Exchange, call: Call, fault: Fault | None) -> Verdict:
    """Judge a request that is within the limits; say in the reply what is left of them."""
    verdict = _judge(exchange, call, fault)
    headers = (*verdict.reply.headers, *exchange.counted(call))
    return replace(verdict, reply=replace(verdict.reply, headers=headers))


def _judge(exchange: Exchange, call: Call, fault: Fault | None) -> Verdict:
    """Let the exchange handle the request, unless a fault keeps it from that."""
    if fault is None:
        return exchange.handle(call)
    applied = fault.applied
    if applied is None:
        applied = call.dice.random() < 0.5  # noqa: PLR2004
    return exchange.handle(call) if applied else Verdict(_UNHANDLED)


_UNHANDLED = Reply(500, b"")
