"""`notify`: try the addresses of the settings."""

from __future__ import annotations

import socket

import typer

from worker.cli import output, resources
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.cli.options import JsonOption
from worker.cli.parameters import PlainCommand

TITLE = "test of notifications"
NONE = (
    "no address is configured; add to the settings: [notify] urls_file = "
    '"FILE", with one address a line, such as tgram://TOKEN/CHAT'
)

app = typer.Typer(help="Notifications: try where they go.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Try where notifications go."""


@app.command("test", cls=PlainCommand)
def try_addresses(as_json: JsonOption = False) -> None:
    """Send one message to each configured address; needs no Redis."""
    from worker.factory import secrets_of  # noqa: PLC0415  slow
    from worker.notify.targets import Delivery, targets_of  # noqa: PLC0415  slow
    from worker.telemetry.logs import Mask  # noqa: PLC0415  slow

    settings = resources.open_settings()
    targets = targets_of(settings.notify)
    if not targets:
        raise CliError(NONE, code=MISUSED)
    delivery = Delivery(Mask(secrets_of(settings)))
    for target in targets:
        delivery.check(target)
    body = f"Sent by `cancel-worker notify test` on {socket.gethostname()}."
    rows = [(each, delivery.send(each, TITLE, body, over=True)) for each in targets]
    if as_json:
        output.document(
            [{"target": each.id, "setting": each.where, "error": why or None} for each, why in rows]
        )
    else:
        for each, why in rows:
            output.say(f"{each.id} ({each.where}): {why or 'delivered'}")
    if any(why for _, why in rows):
        raise typer.Exit(FAILED)
