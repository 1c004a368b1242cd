"""A progress bar for many jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int], None]


@contextmanager
def progress_bar(total: int) -> Iterator[Progress]:
    """Show on the terminal, if there is one, how many of several jobs have ended."""
    if total < 2 or not sys.stderr.isatty():  # noqa: PLR2004  one job needs no bar
        yield lambda _ended: None
        return
    from rich import progress  # noqa: PLC0415  slow
    from rich.console import Console  # noqa: PLC0415  slow

    bar = progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("jobs", total=total)
        yield lambda ended: bar.advance(task, ended)
