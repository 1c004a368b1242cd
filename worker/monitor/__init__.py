"""Metrics, health and a status page over HTTP, beside the work and never in its way."""

from __future__ import annotations

from worker.monitor.server import free_port, url
from worker.monitor.serving import Monitor, ports_of, start

__all__ = ["Monitor", "free_port", "ports_of", "start", "url"]
