"""`simulator`: the simulated exchanges in the foreground."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from worker.cli import output
from worker.cli.errors import CliError

WILDCARDS = {"//0.0.0.0:": "//127.0.0.1:", "//[::]:": "//[::1]:"}


def simulator(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="0: any free one.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Of all left to chance.")] = 0,
    host: Annotated[
        str, typer.Option("--host", metavar="H", help="Address to listen on.")
    ] = "127.0.0.1",
) -> None:
    """Serve the simulated exchanges until Ctrl-C; print settings to try them with.

    What is printed is a worker.toml, and how to place orders.
    """
    from worker.simulator import serve  # noqa: PLC0415  slow, and seldom needed

    try:
        serve(host, port, seed, on_ready=_announce)
    except OSError as error:
        raise CliError(
            f"cannot listen on {host}:{port}: {error.strerror}; give another --port or --host"
        ) from None


def _announce(urls: Mapping[str, str]) -> None:
    from worker.cli.simulated import open_accounts, settings_text  # noqa: PLC0415  slow
    from worker.simulator import SimulatorClient  # noqa: PLC0415  slow

    control = reachable(urls["control"])
    accounts = open_accounts(SimulatorClient(control))
    output.say(f"# The simulated exchanges, until Ctrl-C. Control: POST {control}/_sim/<operation>")
    output.say("# (operations: python -c 'import worker.simulator; help(worker.simulator)').")
    output.say("# To place orders, whose ids it answers:")
    for account in accounts:
        body = f'{{"exchange": "{account.exchange}", "api_key": "{account.api_key}"}}'
        output.say(f"#   curl {control}/_sim/place -d '{body}'")
    output.say("# As worker.toml:")
    output.say("")
    output.say(settings_text(accounts, reachable=reachable))
    sys.stdout.flush()


def reachable(url: str) -> str:
    """Return a URL that a client can use where the server's names every address."""
    for wildcard, loopback in WILDCARDS.items():
        url = url.replace(wildcard, loopback, 1)
    return url
