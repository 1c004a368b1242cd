"""Fixtures of the commands that are run on a real Redis."""

from __future__ import annotations

import pytest

from tests.support.manual_jobs import Hand
from tests.support.shell import Run, Told, run_main
from tests.support.world import World

PATIENCE_MS = 10_000
"""How long a command waits for Redis."""


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the world's settings; return exit code, output and errors.

    A machine under load answers late; that is no outage of Redis.
    """
    world.top.setdefault("redis_timeout_ms", PATIENCE_MS)
    monkeypatch.setenv("WORKER_CONFIG", str(world.config()))

    def go(*arguments: str) -> Told:
        return run_main(capsys, *arguments)

    return go


@pytest.fixture
def hand(world: World) -> Hand:
    """Jobs ended by hand."""
    return Hand(world)
