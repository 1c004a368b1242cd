"""Command line: `cancel-worker`."""

from worker.cli.app import main

__all__ = ["main"]
