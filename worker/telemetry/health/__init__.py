"""Metrics and health probes over HTTP."""

from __future__ import annotations

from worker.telemetry.health.server import url
from worker.telemetry.health.serving import Monitor, ports_of

__all__ = ["Monitor", "ports_of", "url"]
