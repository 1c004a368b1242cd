"""What a worker or a beat shows of itself: /metrics, /healthz, and a page at /."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest

from worker import metrics
from worker.errors import StoreUnavailable
from worker.factory import build_lanes, build_store
from worker.monitor.collector import StoreCollector
from worker.monitor.page import draw
from worker.monitor.reading import Budget, Watch, budgets_of
from worker.monitor.request import Hosts
from worker.monitor.server import Page, Server, open_server
from worker.pulse import Pulse
from worker.settings import Settings

JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
NEXT_PORTS = 20
"""How many ports are tried, so that several workers may share a machine."""
Role = Literal["worker", "beat"]


class Monitor:
    """The pages of one process.

    Args:
        role: What the process is.
        pulse: The sign of life of its loop.
        watch: What looks at Redis.
    """

    def __init__(self, role: Role, pulse: Pulse, watch: Watch) -> None:
        self._role = role
        self._pulse = pulse
        self._watch = watch
        self._registry = CollectorRegistry()
        self._registry.register(StoreCollector(watch))
        self.server: Server | None = None

    def metrics(self) -> Page:
        """Return what Prometheus reads."""
        text = generate_latest(metrics.REGISTRY) + generate_latest(self._registry)
        return Page(text.decode(), METRICS)

    def live(self) -> Page:
        """Return whether a restart is no help; Redis being away is no reason for one."""
        live = self._pulse.live
        return _json({"live": live, "role": self._role}, ok=live)

    def ready(self) -> Page:
        """Return whether work can be expected, and if not, why."""
        faults = self._pulse.faults()
        redis: dict[str, object] = {"up": True}
        counts: dict[str, object] = {}
        try:
            reading = self._watch.look()
        except StoreUnavailable as error:
            redis = {"up": False, "error": str(error)}
            faults.append("Redis does not answer")
        else:
            redis["latency_ms"] = round(reading.latency_ms, 1)
            if reading.refusal:
                redis["refuses"] = reading.refusal
                faults.append(reading.refusal)
            counts = {
                "workers": reading.workers,
                "dead_letters": reading.dead,
                "jobs_due": sum(lane.due for lane in reading.lanes),
                "jobs_pending": sum(lane.pending for lane in reading.lanes),
            }
        ready = not faults
        told = {"ready": ready, "live": self._pulse.live, "role": self._role, "faults": faults}
        return _json({**told, "redis": redis, **counts}, ok=ready)

    def status(self) -> Page:
        """Return the page for people."""
        return Page(draw(self._watch, role=self._role, faults=self._pulse.faults()))

    def serve(self, host: str, ports: Sequence[int], *, names: Sequence[str] = ()) -> None:
        """Serve all of it, if a port can be had.

        Args:
            host: Address or name to bind.
            ports: To try, in order.
            names: Further names under which it is served; see `Hosts`.
        """
        pages = {
            "/": self.status,
            "/metrics": self.metrics,
            "/healthz": self.ready,
            "/healthz/ready": self.ready,
            "/healthz/live": self.live,
        }
        hosts = Hosts(frozenset(name.lower() for name in (host, *names)))
        self.server = open_server(host, ports, pages, instant=["/healthz/live"], hosts=hosts)

    def stop(self) -> None:
        """Serve no more."""
        if self.server is not None:
            self.server.stop()
            self.server = None


def start(settings: Settings, pulse: Pulse, role: Role) -> Monitor:
    """Serve what a process shows of itself where the settings say.

    Never keeps the process from its work: without a port there is a warning.
    """
    budgets: Sequence[Budget] = ()
    if role == "worker":
        lanes = build_lanes(settings).values()
        budgets = budgets_of(lanes)
        metrics.prepare(
            (lane.exchange.name, lane.alias, lane.uses_nonce, [rule.key for _, rule in lane.rules])
            for lane in lanes
        )
    monitor = Monitor(role, pulse, Watch(build_store(settings), budgets))
    ports = ports_of(settings, role)
    if ports:
        monitor.serve(settings.metrics.host, ports, names=settings.metrics.names)
    return monitor


def ports_of(settings: Settings, role: Role) -> list[int]:
    """Return the ports to try: the one set, then those after it that are not the other's."""
    table = settings.metrics
    mine, other = table.port, table.beat_port
    if role == "beat":
        mine, other = other, mine
    last = min(65_535, mine + NEXT_PORTS)
    return [port for port in range(mine, last + 1) if port == mine or port != other] if mine else []


def _json(told: dict[str, object], *, ok: bool) -> Page:
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(json.dumps(told) + "\n", JSON, status)
