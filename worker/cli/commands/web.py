"""`web`: the HTTP API and the control page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from worker.cli import output, resources


def web(
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy",
            help="A proxy in front ends TLS and sets X-Forwarded-For; allows any web.host.",
        ),
    ] = False,
) -> None:
    """Serve the HTTP API and the control page until Ctrl-C."""
    from worker.store.address import parse  # noqa: PLC0415  slow
    from worker.telemetry import logs, sentry  # noqa: PLC0415  slow
    from worker.web.server import Server  # noqa: PLC0415  slow

    settings = resources.open_settings()
    # The accounts' secrets are not read: this process has no use for them.
    secrets = [*parse(settings.redis_address).secrets, settings.sentry_address or ""]
    sentry.start(settings.sentry_address, logs.set_up(settings.worker.log_level, secrets))
    server = Server(settings, behind_proxy=behind_proxy or settings.web.behind_proxy)

    def announce() -> None:
        output.say(f"listening on {server.url}")
        sys.stdout.flush()

    server.run(announce)
