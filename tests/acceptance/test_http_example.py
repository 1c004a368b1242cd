"""The example strategy in Node, on the HTTP API, as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.web_server import serving
from tests.support.world import World
from worker.model.authority import Verb

EXAMPLE = Path(__file__).parents[2] / "ops" / "examples" / "strategy.mjs"
NODE = shutil.which("node") or ""
pytestmark = pytest.mark.skipif(not NODE, reason="node is not installed")


@contextmanager
def strategy(
    url: str, token: str, *orders: str, timeout_ms: int
) -> Iterator[subprocess.Popen[str]]:
    """Run the example on an account; it is killed at the end."""
    process = subprocess.Popen(
        [NODE, str(EXAMPLE), "ev", *orders],
        env={
            **os.environ,
            "CANCEL_WORKER_URL": url,
            "CANCEL_WORKER_TOKEN": token,
            "TIMEOUT_MS": str(timeout_ms),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def armed(process: subprocess.Popen[str]) -> None:
    """Wait until it has armed its switch."""
    assert process.stdout is not None
    assert process.stdout.readline().startswith("armed ")


def test_a_strategy_in_node_cancels_and_is_guarded(world: World) -> None:
    """A clean end leaves its other orders open; a killed one's are canceled at the deadline."""
    world.worker()
    kept, canceled, lost = world.place("ev", 3)
    with serving(world) as web:
        token = web.token(Verb.READ, Verb.CANCEL, Verb.SWITCH, accounts=("ev",))
        with strategy(web.url, token, canceled, kept, timeout_ms=60_000) as process:
            armed(process)
            said, _ = process.communicate("done\n", timeout=60)
            assert process.returncode == 0
            assert said.splitlines() == [f"{canceled}: done CANCELED", "disarmed"]
        assert world.status("ev", kept) == "open"
        with strategy(web.url, token, lost, timeout_ms=1_500) as process:
            armed(process)
        eventually(lambda: world.status("ev", lost) == "canceled", what="its order is canceled")
        assert world.status("ev", kept) == "open"
