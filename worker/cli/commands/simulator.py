"""`simulator`: the simulated exchanges in the foreground."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from worker.cli import output
from worker.cli.errors import CliError

WILDCARDS = {"//0.0.0.0:": "//127.0.0.1:", "//[::]:": "//[::1]:"}


def simulator(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="0 for any free port.")
    ] = 0,
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", help="Seed of the random numbers.")
    ] = 0,
    host: Annotated[
        str, typer.Option("--host", metavar="H", help="Address to listen on.")
    ] = "127.0.0.1",
) -> None:
    """Run simulated exchanges, and print settings for them.

    They run until Ctrl-C. The output is a worker.toml, with comments that show how to
    place orders.
    """
    from worker.simulator import serve  # noqa: PLC0415  slow

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
    output.say(f"# Simulated exchanges, until Ctrl-C. Control: POST {control}/_sim/<operation>")
    output.say("# (operations: python -c 'import worker.simulator; help(worker.simulator)').")
    output.say("# Place orders; the reply lists their ids:")
    for account in accounts:
        order = {"exchange": account.exchange, "api_key": account.api_key, "pair": account.pair}
        output.say(f"#   curl {control}/_sim/place -d '{json.dumps(order)}'")
    output.say("# As worker.toml:")
    output.say("")
    output.say(settings_text(accounts, reachable=reachable))
    sys.stdout.flush()


def reachable(url: str) -> str:
    """Return a URL with loopback in place of the wildcard address."""
    for wildcard, loopback in WILDCARDS.items():
        url = url.replace(wildcard, loopback, 1)
    return url
