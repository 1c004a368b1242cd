"""Changes of a Lua script, each run in a process of its own with the tests of that script."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.survivors import Change, Figures
from worker.store import scripts

TESTS: Mapping[str, tuple[str, ...]] = {
    "ban": ("tests/integration/test_limiter.py",),
    "lib/limits": (
        "tests/integration/test_limiter.py",
        "tests/integration/test_limiter_model.py",
        "tests/integration/test_limiter_failover.py",
        "tests/integration/test_paced_limits.py",
    ),
    "lib/slots": (
        "tests/integration/test_limiter.py",
        "tests/integration/test_limiter_model.py",
    ),
    "nonce": ("tests/integration/test_nonces.py", "tests/integration/test_nonce_units.py"),
}
QUIET = ("-n0", "-q", "-x", "--no-header", "--disable-warnings", "--timeout=100", "-p")
# They simulate minutes: a mutant that only they would find is counted as a survivor.
LONG = "nearly_all_of_the_budget or within_a_step or at_even_steps or no_window_holds_more"
LONG += " or any_jitter or far_away or does_not_know or costs_little"
NO_CACHE = "no:cacheprovider"
SWAPS: Mapping[str, str] = {
    ">=": ">",
    "<=": "<",
    ">": ">=",
    "<": "<=",
    "==": "~=",
    "~=": "==",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "and": "or",
    "or": "and",
    "not": "",
    "math.min": "math.max",
    "math.max": "math.min",
    "math.floor": "math.ceil",
    "math.ceil": "math.floor",
    "true": "false",
    "false": "true",
}
_HIDDEN = re.compile(r"--[^\n]*|'[^']*'")
_PLACES = re.compile(
    r">=|<=|==|~=|[<>*/]|(?<=\s)[+-](?=\s)|\b(?:and|or|not|true|false)\b"
    r"|\bmath\.(?:min|max|floor|ceil)\b|\b[0-9]+\b"
)
_CONDITION = re.compile(r"\b(?:else)?if\b(?P<test>[^\n]*?)\bthen\b")
_CALL = re.compile(r"^ *(?P<call>redis\.call\([^\n]*\))$", re.MULTILINE)


def changes(text: str) -> Iterator[str]:
    """Return each changed text: one operator, constant, condition or command at a time."""
    code = _HIDDEN.sub(lambda found: " " * len(found[0]), text)
    for found in _PLACES.finditer(code):
        word = found[0]
        other = str(int(word) + 1) if word.isdigit() else SWAPS[word]
        yield text[: found.start()] + other + text[found.end() :]
    for found in _CONDITION.finditer(code):
        for value in (" true ", " false "):
            yield text[: found.start("test")] + value + text[found.end("test") :]
    for found in _CALL.finditer(text):
        yield text[: found.start("call")] + text[found.end("call") :]


def run(script: str, say: Callable[[str], None], only: range | None = None) -> Figures:
    """Run the tests of a script on each changed text of it, the fast ones first.

    Args:
        script: Its name.
        say: Takes a line of progress.
        only: Which of the changes; None for all.

    Raises:
        RuntimeError: The tests fail on the script as it is.
    """
    text = scripts.source(script)
    every = [each for n, each in enumerate(changes(text)) if only is None or n in only]
    tests = _by_duration(TESTS[script])
    survived = []
    for number, changed in enumerate(every, 1):
        if _passes(script, changed, tests):
            survived.append(_change(script, text, changed))
        say(f"{script}.lua: {number}/{len(every)}, {len(survived)} survived")
    return Figures(f"{script}.lua", len(every), tuple(survived))


def _change(script: str, text: str, changed: str) -> Change:
    pairs = zip(text.splitlines(), changed.splitlines(), strict=True)
    ((was, now),) = [(a.strip(), b.strip()) for a, b in pairs if a != b]
    return Change(f"{script}.lua", was, now)


def _by_duration(files: Sequence[str]) -> list[str]:
    """Run tests once on what is there; return their ids, fast ones first."""
    durations: dict[str, float] = {}

    class Watch:
        """Adds up how long each test takes."""

        def pytest_runtest_logreport(self, report: Any) -> None:
            """Take in one phase of a test."""
            durations[report.nodeid] = durations.get(report.nodeid, 0.0) + report.duration

    if pytest.main([*QUIET, NO_CACHE, "-k", f"not ({LONG})", *files], plugins=[Watch()]):
        raise RuntimeError("the tests fail on the scripts as they are")
    # What these left open is not closed in a child, where it would fail a test.
    gc.collect()
    gc.freeze()
    return sorted(durations, key=durations.__getitem__)


def _passes(script: str, changed: str, tests: Sequence[str]) -> bool:
    """Return whether every test passes with a changed text, in a process of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            source = scripts.source
            scripts.source = cache(lambda name: changed if name == script else source(name))
            code = int(pytest.main([*QUIET, NO_CACHE, *tests]))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[2])
    for name in sys.argv[1:]:
        for each in run(name, print).survived:
            print(each)  # noqa: T201
