"""`--watch`: redraw a table every second until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from worker import clock
from worker.cli.errors import MISUSED, CliError, explain
from worker.errors import StoreUnavailable

if TYPE_CHECKING:
    from rich.console import RenderableType

WATCH_MS = 1_000


def check_watch(*, as_json: bool) -> None:
    """Refuse `--watch` without a terminal, and together with `--json`.

    Raises:
        CliError: Standard output is no terminal, or `as_json` is true.
    """
    if as_json or not sys.stdout.isatty():
        raise CliError("--watch needs a terminal, and no --json", code=MISUSED)


def watch(draw: Callable[[], RenderableType]) -> None:
    """Show what `draw` returns, every second; while Redis is down, show the error."""
    from rich.live import Live  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    shown: RenderableType
    try:
        with Live(auto_refresh=False, screen=True) as live:
            while True:
                try:
                    shown = draw()
                except StoreUnavailable as error:
                    shown = Text(explain(error)[0])
                live.update(shown, refresh=True)
                clock.sleep_ms(WATCH_MS)
    except KeyboardInterrupt:
        return
