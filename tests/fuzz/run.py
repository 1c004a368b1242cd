"""Run a target many times: by a seeded mutator, or guided by coverage."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.fuzz.mutate import mutate
from tests.fuzz.target import Target
from worker import clock

SLOW_MS = 5_000
"""One input that takes more of the processor is a failure, such as a regular expression."""


class Found(Exception):
    """An input that the program mishandles."""

    def __init__(self, data: bytes, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.data = data
        self.error = error

    def save(self, folder: Path) -> Path:
        """Write the input; return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha256(self.data).hexdigest()[:16]
        path.write_bytes(self.data)
        return path


class Runner:
    """Counts what a target was given, and says what came of it."""

    def __init__(self, target: Target, runs: int) -> None:
        self.target = target
        self.runs = runs
        self.done = 0
        self.slowest_ms = 0.0
        self._began_ms = clock.monotonic_ms()

    @property
    def over(self) -> bool:
        """Whether there were enough."""
        return self.done >= self.runs

    def one(self, data: bytes) -> None:
        """Check one input.

        Raises:
            Found: The program mishandles it.
        """
        began_s = time.process_time()
        try:
            self.target.check(data)
        except Exception as error:
            raise Found(data, error) from error
        took_ms = (time.process_time() - began_s) * 1_000
        self.slowest_ms = max(self.slowest_ms, took_ms)
        if took_ms > SLOW_MS:
            raise Found(data, TimeoutError(f"took {took_ms:.0f} ms"))
        self.done += 1

    def report(self) -> str:
        """Return what was done, on one line."""
        spent_s = max(1e-9, (clock.monotonic_ms() - self._began_ms) / 1_000)
        return (
            f"{self.done:,} executions in {spent_s:.1f} s, {self.done / spent_s:,.0f}/s, "
            f"slowest {self.slowest_ms:.1f} ms"
        )


def fuzz(target: Target, *, runs: int, seed: int) -> Runner:
    """Check the corpus and `runs` changes of it, the same for the same seed.

    Raises:
        Found: The program mishandles an input.
    """
    runner, rng = Runner(target, runs), random.Random(seed)
    for data in target.corpus:
        runner.one(data)
    data = rng.choice(target.corpus)
    while not runner.over:
        # Some changes on top of changes, so that inputs drift away from the examples.
        data = mutate(data if rng.random() < 0.5 else rng.choice(target.corpus), target, rng)
        runner.one(data)
    target.finish()
    return runner


def guided() -> bool:
    """Return whether coverage can guide: whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def fuzz_guided(target: Target, *, runs: int, seed: int, saved: Path) -> NoReturn:
    """Do as `fuzz`, keeping what reaches new code; libFuzzer ends the process."""
    atheris: Any = importlib.import_module("atheris")
    runner = Runner(target, runs)
    rng = random.Random(seed)

    def change(data: bytes, size: int, number: int) -> bytes:
        rng.seed(number)
        return mutate(data or rng.choice(target.corpus), target, rng)[:size]

    def one(data: bytes) -> None:
        try:
            runner.one(data)
            if runner.over:
                target.finish()
        except Found as found:
            end(1, shown(found, found.save(saved)))
        except BaseException:  # noqa: BLE001  libFuzzer must not have the last word
            end(1, traceback.format_exc())
        if runner.over:
            end(0, runner.report())

    seeds = saved / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for data in target.corpus:
        (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = [f"-seed={seed or 1}", "-verbosity=0", "-timeout=60", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *options, str(seeds)], one, custom_mutator=change)
    atheris.Fuzz()
    raise AssertionError("libFuzzer returned")


def shown(found: Found, path: Path) -> str:
    """Say how to see a failure again."""
    trace = "".join(traceback.format_exception(found.error))
    return f"{trace}\nreproduce with: python -m tests.fuzz TARGET --input {path}"


def end(code: int, text: str) -> NoReturn:
    """Say something and end this process, whatever runs in it."""
    print(text, flush=True)  # noqa: T201
    os._exit(code)


def replay(target: Target, paths: Sequence[Path]) -> Runner:
    """Check saved inputs.

    Raises:
        Found: The program mishandles one.
    """
    runner = Runner(target, len(paths))
    for path in paths:
        runner.one(path.read_bytes())
    target.finish()
    return runner
