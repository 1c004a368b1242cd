"""Changes of the Lua scripts that deal with slots, nonces and deadlines, and their tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from tests.mutation.survivors import Change, Figures
from tests.mutation.trials import Trial, survivors
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
    "lib/nonces": (
        "tests/integration/test_nonces.py",
        "tests/integration/test_nonce_units.py",
        "tests/integration/test_claimed_nonces.py",
    ),
    "lib/budget": (
        "tests/integration/test_timer_budget.py",
        "tests/integration/test_switch_held.py",
        "tests/integration/test_timer_counts.py",
        "tests/integration/test_switch_one_list.py",
    ),
    "lib/timer_counts": (
        "tests/integration/test_timer_counts.py",
        "tests/integration/test_timer_budget.py",
        "tests/integration/test_switch_indexes.py",
    ),
    "lib/ends": (
        "tests/integration/test_switch_deadlines.py",
        "tests/integration/test_switch_indexes.py",
    ),
}
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


def run(say: Callable[[str], None]) -> list[Figures]:
    """Try every change to every script; return what survived of each.

    Args:
        say: Takes a line of progress.

    Raises:
        RuntimeError: The tests fail on the scripts as they are.
    """
    made = {
        f"{script}.lua {number}": (script, text)
        for script in TESTS
        for number, text in enumerate(changes(scripts.source(script)))
    }
    source = scripts.source

    def begin(name: str) -> None:
        changed = dict([made[name]]) if name in made else {}
        scripts.source = cache(lambda script: changed.get(script) or source(script))

    trials = [Trial(name, script, TESTS[script]) for name, (script, _) in made.items()]
    survived = survivors(trials, begin, lambda: lambda: TESTS, say)
    return [
        Figures(
            f"{script}.lua",
            sum(each == script for each, _ in made.values()),
            tuple(
                _change(script, source(script), text)
                for name, (each, text) in made.items()
                if each == script and name in survived
            ),
        )
        for script in TESTS
    ]


def _change(script: str, text: str, changed: str) -> Change:
    pairs = zip(text.splitlines(), changed.splitlines(), strict=True)
    ((was, now),) = [(a.strip(), b.strip()) for a, b in pairs if a != b]
    return Change(f"{script}.lua", was, now)
