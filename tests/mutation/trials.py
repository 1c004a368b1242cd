"""Try many changes with one collection of the tests, those of one function in one process."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutinefunction
from itertools import groupby
from typing import Any, NoReturn

import pytest
from _pytest.python import get_direct_param_fixture_func
from hypothesis import Phase, settings

from tests.mutation.named import LONG

OPTIONS = (
    *("-n0", "-qqq", "--no-header", "--disable-warnings", "--tb=native", "--assert=plain"),
    *("--timeout=100", "-p", "no:cacheprovider"),
    *("-k", f"not ({' or '.join(LONG)})"),
    # It reads what the adapters import; a copy that can be changed imports mutmut.
    "--deselect=tests/unit/test_exchange_shared.py::test_adapters_import_nothing_that_does_anything",
)
MUCH_LONGER = 5
"""A change that makes its tests take this many times as much of a processor never ends."""
STARTS_CPU_S = 5
EXAMPLES = 10
"""What a property test tries for each change, unless it says how many: tables are to notice."""
MANY = 50
"""Changes that one process tries."""
AS_IT_IS = ""
PASSED, NOTICED, CHANGED_MORE = b".", b"x", b"!"


@dataclass(frozen=True, slots=True)
class Trial:
    """One change to try.

    Attributes:
        name: The change.
        of: What is changed: the tests that reach it are run.
        files: Of these files.
    """

    name: str
    of: str
    files: tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """What the tests reached, how long they took as they are, and where they are; by place."""

    reached: dict[str, list[int]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)


class Trials:
    """A pytest plugin that runs the tests once for each change, instead of once.

    Args:
        trials: The changes, those of one function in a row.
        begin: Makes a change, given its name, instead of the one before; with `AS_IT_IS` none.
        watch: Called in a process of its own before the tests are run as they are. What it
            returns is called after each test, and returns what the test reached.
        say: Takes a line of progress.
        at_once: How many processes run.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        begin: Callable[[str], None],
        watch: Callable[[], Callable[[], Iterable[str]]],
        say: Callable[[str], None],
        at_once: int = 2,
    ) -> None:
        groups = [[*group] for _, group in groupby(trials, key=lambda trial: trial.of)]
        self._waiting = [
            group[start : start + MANY] for group in groups for start in range(0, len(group), MANY)
        ]
        self._begin = begin
        self._watch = watch
        self._say = say
        self._at_once = at_once
        self._failed = False
        self._calls: dict[int, Callable[[], object]] = {}
        self._count = len(trials)
        self._tried = 0
        self.survived: set[str] = set()
        """Names of the changes that no test noticed."""
        self.broken = "the tests cannot be collected"
        """Why the changes could not be tried; empty once they were."""

    def pytest_sessionstart(self) -> None:
        """Have property tests draw the same examples for each change, and look no further."""
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "changes",
            settings(),
            derandomize=True,
            database=None,
            phases=phases,
            max_examples=EXAMPLES,
        )
        settings.load_profile("changes")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a test failed."""
        self._failed = self._failed or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every change."""
        if session.testsfailed:
            return True
        # What is open here is not closed in a child, where it would fail a test.
        gc.collect()
        gc.freeze()
        calls = {place: _call_of(item) for place, item in enumerate(session.items)}
        self._calls = {place: call for place, call in calls.items() if call is not None}
        seen = self._look(session)
        if isinstance(seen, str):
            self.broken = f"this fails without any change: {seen}"
            return True
        running: dict[int, tuple[list[Trial], int]] = {}
        while self._waiting or running:
            while self._waiting and len(running) < self._at_once:
                group = self._waiting.pop(0)
                ours, theirs = os.pipe()
                child = os.fork()
                if child == 0:
                    self._try(session, group, seen, theirs)
                os.close(theirs)
                running[child] = group, ours
            child, _ = os.wait()
            self._take(*running.pop(child))
        self.broken = ""
        return True

    def _take(self, group: list[Trial], pipe: int) -> None:
        """Take in what one process found out; have others try the rest."""
        with os.fdopen(pipe, "rb") as file:
            results = file.read()
        if CHANGED_MORE in results:
            # One change had effects on the next: each gets a process of its own.
            self._waiting[:0] = [[trial] for trial in group]
            return
        self.survived |= {
            trial.name
            for trial, result in zip(group, results.decode(), strict=False)
            if result.encode() == PASSED
        }
        # The one that it ended with took far too long: that is noticed.
        rest = group[len(results) + 1 :]
        if rest:
            self._waiting.insert(0, rest)
        self._tried += len(group) - len(rest)
        self._say(f"{self._tried}/{self._count}, {len(self.survived)} survived: {group[0].of}")

    def _look(self, session: pytest.Session) -> Seen | str:
        """Run the tests as they are, in a process of its own, as they may remember answers.

        Returns:
            What they reached, or the name of one that fails.
        """
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            _be_quiet(session)
            seen, reached = Seen(), self._watch()
            found: Seen | str = seen
            for place, item in enumerate(session.items):
                begun = time.process_time()
                failed = self._noticed(session, [place])
                seen.seconds[place] = time.process_time() - begun
                seen.files[place] = item.nodeid.partition("::")[0]
                for name in reached():
                    seen.reached.setdefault(name, []).append(place)
                if failed is not None:
                    found = item.nodeid
                    break
            with os.fdopen(theirs, "wb") as pipe:
                pickle.dump(found, pipe)
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            results: Seen | str = pickle.load(pipe)  # noqa: S301
        os.waitpid(child, 0)
        return results

    def _try(
        self, session: pytest.Session, group: Sequence[Trial], seen: Seen, pipe: int
    ) -> NoReturn:
        """Run tests on each change until one notices it; end this process.

        At last those that noticed one are run without any change. Where one of them fails, a
        change has had effects on what came after it, and nothing of all this counts.
        """
        try:
            _be_quiet(session)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            caches = _caches()
            first: list[int] = []
            tests = self._tests(group[0], seen)
            limit_s = STARTS_CPU_S + MUCH_LONGER * sum(seen.seconds[n] for n in tests)
            for trial in group:
                signal.setitimer(signal.ITIMER_PROF, limit_s)
                self._begin(trial.name)
                killer = self._noticed(session, [*first, *(n for n in tests if n not in first)])
                os.write(pipe, PASSED if killer is None else NOTICED)
                if killer is not None:
                    first = [killer, *(n for n in first if n != killer)]
                for cache in caches:
                    cache.cache_clear()
            self._begin(AS_IT_IS)
            if len(group) > 1 and self._noticed(session, first) is not None:
                os.write(pipe, CHANGED_MORE)
            signal.setitimer(signal.ITIMER_PROF, 0)
            session._setupstate.teardown_exact(None)  # noqa: SLF001
        finally:
            os._exit(0)

    def _tests(self, trial: Trial, seen: Seen) -> list[int]:
        """Return the tests that reach what is changed, those first that take less time."""
        reach = [n for n in seen.reached.get(trial.of, ()) if seen.files[n] in trial.files]
        return sorted(reach, key=seen.seconds.__getitem__)

    def _noticed(self, session: pytest.Session, tests: Sequence[int]) -> int | None:
        """Return which test fails, if one does: of those first that are mere calls."""
        for place in tests:
            if place in self._calls and _fails(self._calls[place]):
                return place
        whole = [place for place in tests if place not in self._calls]
        self._failed = False
        items = [session.items[place] for place in whole]
        for place, item, following in zip(whole, items, [*items[1:], None], strict=False):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                # It is the first that the next change is tried with.
                session._setupstate.teardown_exact(item)  # noqa: SLF001
                return place
        return None


def _call_of(item: pytest.Item) -> Callable[[], object] | None:
    """Return a test as a call, where it needs nothing of pytest but its parameters."""
    marked = any(item.get_closest_marker(name) for name in ("skip", "skipif", "xfail"))
    if not isinstance(item, pytest.Function) or marked or iscoroutinefunction(item.obj):
        return None
    fixtures = item._fixtureinfo.name2fixturedefs  # noqa: SLF001
    for name in {*item.fixturenames} - {"environment", "request"}:
        if fixtures[name][-1].func is not get_direct_param_fixture_func:
            return None
    given = item.callspec.params if hasattr(item, "callspec") else {}
    if "request" in item._fixtureinfo.argnames:  # noqa: SLF001
        return None
    return partial(item.obj, **{name: given[name] for name in item._fixtureinfo.argnames})  # noqa: SLF001


def _fails(call: Callable[[], object]) -> bool:
    """Return whether a test fails, by whatever it raises."""
    try:
        call()
    except pytest.skip.Exception:
        return False
    except BaseException:  # noqa: BLE001  a change may have a test end in any way
        return True
    return False


def _caches() -> list[Any]:
    """Return what remembers answers of the worker's functions."""
    modules = [module for name, module in sys.modules.items() if name.startswith("worker.")]
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if hasattr(value, "cache_clear")]


def _be_quiet(session: pytest.Session) -> None:
    """Print nothing from here on, and take warnings for errors, as pytest does."""
    warnings.simplefilter("error")
    session.config.pluginmanager.unregister(name="terminalreporter")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)


def survivors(
    trials: Sequence[Trial],
    begin: Callable[[str], None],
    watch: Callable[[], Callable[[], Iterable[str]]],
    say: Callable[[str], None],
) -> set[str]:
    """Return the names of the changes that no test in their files notices.

    Args: as those of `Trials`.

    Raises:
        RuntimeError: The tests fail without any change.
    """
    plugin = Trials(trials, begin, watch, say)
    files = sorted({name for trial in trials for name in trial.files})
    pytest.main([*OPTIONS, *files], plugins=[plugin])
    if plugin.broken:
        raise RuntimeError(plugin.broken)
    return plugin.survived
