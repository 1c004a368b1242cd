"""The commands of `cancel-worker`, and its entry point."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from worker import __version__
from worker.cli import output, resources
from worker.cli.errors import FAILED, INTERRUPTED, CliError, explain
from worker.cli.loading import Program
from worker.errors import SettingsError
from worker.model.text import one_line

NAME = "cancel-worker"
JSON = "--json"
COMPLETING = "_CANCEL_WORKER_COMPLETE"
WITHOUT_FILE = (
    "no settings file was read: WORKER_CONFIG is not set and there is no ./worker.toml; "
    "the defaults hold (set it, or give --config PATH)"
)

app = typer.Typer(
    name=NAME,
    cls=Program,
    help="Cancels a trader's orders, on command or when a strategy stops sending heartbeats.",
    epilog="Exit codes: 0 done, 1 failed or not proven in time, 2 wrong usage or settings, "
    "130 interrupted.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        output.say(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="PATH",
            help="Settings file; default: WORKER_CONFIG, then ./worker.toml.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001  its callback prints it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Apply the options of every command."""
    if config is not None:
        os.environ["WORKER_CONFIG"] = str(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code.

    Every failure is one line on standard error.
    """
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    explained = False
    resources.begin()
    try:
        code = _run(arguments)
    except Exception as error:  # noqa: BLE001  no traceback reaches the shell
        text, code = explain(error)
        lines = text.splitlines() if isinstance(error, SettingsError) else [text]
        for line in lines:
            output.note(line)
        if JSON in (sys.argv[1:] if arguments is None else arguments):
            shown = "\n".join(map(one_line, lines))
            output.document({"error": shown, "exit_code": code})
        explained = True
    if resources.without_settings() and COMPLETING not in os.environ:
        output.note(WITHOUT_FILE)
    try:
        sys.stdout.flush()
    except OSError as error:
        # No message if the reader has closed the pipe, as `head` does.
        if not (explained or isinstance(error, BrokenPipeError)):
            output.note(explain(error)[0])
        _drop_output()
        return code or FAILED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(app)
    given = None if arguments is None else list(arguments)
    result = command.main(args=given, prog_name=NAME, standalone_mode=False)
    if result == INTERRUPTED:
        text = "interrupted; accepted jobs continue, and armed switches stay armed"
        raise CliError(text, code=INTERRUPTED)
    return result if isinstance(result, int) else 0


def _open_streams() -> None:
    """Replace streams that the caller has closed (`>&-`): what they would print is dropped."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  stays open
            setattr(sys, name, nowhere)


def _drop_output() -> None:
    """Redirect standard output, so that the interpreter's last flush succeeds."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
