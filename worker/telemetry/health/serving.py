"""The health endpoints of a worker, Celery beat or the web process: /metrics, /healthz."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest

from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.telemetry import metrics
from worker.telemetry.health.collector import StoreCollector
from worker.telemetry.health.reading import Watch
from worker.telemetry.health.request import Hosts
from worker.telemetry.health.server import Page, Server, open_server
from worker.telemetry.liveness import Liveness

JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
NEXT_PORTS = 20
"""Ports that are tried after the configured one, for several workers on one machine."""
Role = Literal["worker", "beat", "web"]


class Monitor:
    """The pages of one process.

    Args:
        role: What the process is.
        liveness: That of the process's loop.
        watch: What looks at Redis.
    """

    def __init__(self, role: Role, liveness: Liveness, watch: Watch) -> None:
        self._role = role
        self._liveness = liveness
        self._watch = watch
        self._registry = CollectorRegistry()
        self._registry.register(StoreCollector(watch))
        self.server: Server | None = None

    def metrics(self) -> Page:
        """Return the metrics for Prometheus."""
        text = generate_latest(metrics.REGISTRY) + generate_latest(self._registry)
        return Page(text.decode(), METRICS)

    def live(self) -> Page:
        """Return the liveness probe: 503 if a restart would help. Redis does not count."""
        live = self._liveness.live
        return _json({"live": live, "role": self._role}, ok=live)

    def ready(self) -> Page:
        """Return the readiness probe: 503 with the reasons if the process is not ready."""
        faults = self._liveness.faults()
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
        fields = {"ready": ready, "live": self._liveness.live, "role": self._role}
        return _json({**fields, "faults": faults, "redis": redis, **counts}, ok=ready)

    def serve(self, host: str, ports: Sequence[int], *, names: Sequence[str] = ()) -> None:
        """Start the server, if a port can be bound.

        Args:
            host: Address or name to bind.
            ports: Ports to try, in order.
            names: Further host names for browsers; see `Hosts`.
        """
        pages = {
            "/metrics": self.metrics,
            "/healthz": self.ready,
            "/healthz/ready": self.ready,
            "/healthz/live": self.live,
        }
        hosts = Hosts(frozenset(name.lower() for name in (host, *names)))
        self.server = open_server(host, ports, pages, instant=["/healthz/live"], hosts=hosts)

    def stop(self) -> None:
        """Stop the server."""
        if self.server is not None:
            self.server.stop()
            self.server = None


def ports_of(settings: Settings, role: Role) -> list[int]:
    """Return the ports to try: the configured one and the next ones, without the other roles'."""
    table = settings.metrics
    ports = {"worker": table.port, "beat": table.beat_port, "web": table.web_port}
    mine = ports.pop(role)
    last = min(65_535, mine + NEXT_PORTS)
    others = ports.values()
    return [port for port in range(mine, last + 1) if port == mine or port not in others] * (
        mine > 0
    )


def _json(fields: dict[str, object], *, ok: bool) -> Page:
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(json.dumps(fields) + "\n", JSON, status)
