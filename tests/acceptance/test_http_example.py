"""The example strategies in Node and Rust, on the HTTP API, as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.web_server import Web, serving
from tests.support.world import World
from worker.model.authority import Verb

EXAMPLES = Path(__file__).parents[2] / "ops" / "examples"
NODE, RUSTC = shutil.which("node") or "", shutil.which("rustc") or ""


def program(language: str, folder: Path) -> list[str]:
    """Return the command that runs the example in a language; compile it if need be."""
    if language == "node":
        return [NODE, str(EXAMPLES / "strategy.mjs")]
    built = folder / "strategy"
    source = str(EXAMPLES / "strategy.rs")
    subprocess.run([RUSTC, "--edition", "2021", "-o", str(built), source], check=True)
    return [str(built)]


@contextmanager
def strategy(
    command: list[str], url: str, token: str, *orders: str, timeout_ms: int
) -> Iterator[subprocess.Popen[str]]:
    """Run an example on an account; it is killed at the end."""
    process = subprocess.Popen(
        [*command, "ev", *orders],
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


@pytest.mark.skipif(not NODE and not RUSTC, reason="neither node nor rustc is installed")
def test_the_examples_cancel_and_are_guarded(world: World) -> None:
    """A clean end leaves its other orders open; a killed one's are canceled at the deadline."""
    world.worker()
    languages = ["node"] * bool(NODE) + ["rust"] * bool(RUSTC)
    commands = [program(language, world.folder) for language in languages]
    with serving(world) as web:
        token = web.token(Verb.READ, Verb.CANCEL, Verb.SWITCH, accounts=("ev",))
        for command in commands:
            a_strategy_cancels_and_is_guarded(world, web, token, command)


def a_strategy_cancels_and_is_guarded(
    world: World, web: Web, token: str, command: list[str]
) -> None:
    """In one language."""
    kept, canceled, lost = world.place("ev", 3)
    with strategy(command, web.url, token, canceled, kept, timeout_ms=60_000) as process:
        armed(process)
        said, _ = process.communicate("done\n", timeout=60)
        assert process.returncode == 0
        assert said.splitlines() == [f"{canceled}: done CANCELED", "disarmed"]
    assert world.status("ev", kept) == "open"
    with strategy(command, web.url, token, lost, timeout_ms=1_500) as process:
        armed(process)
    eventually(
        lambda: world.status("ev", lost) == "canceled", within_ms=30_000, what="it is canceled"
    )
    assert world.status("ev", kept) == "open"
