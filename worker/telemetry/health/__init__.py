"""Metrics, health probes and a status page over HTTP."""

from __future__ import annotations

from worker.telemetry.health.server import free_port, url
from worker.telemetry.health.serving import Monitor, ports_of

__all__ = ["Monitor", "free_port", "ports_of", "url"]
