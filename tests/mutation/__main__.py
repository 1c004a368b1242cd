"""The command: exits 1 where a change survives that `survivors.toml` does not list."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from fnmatch import fnmatch
from pathlib import Path

from mutmut.__main__ import create_mutants
from mutmut.configuration import config
from mutmut.mutation import trampoline
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.state import state
from mutmut.utils.file_utils import (
    change_cwd,
    copy_also_copy_files,
    copy_src_dir,
    setup_source_paths,
)
from mutmut.utils.format_utils import (
    mangled_name_from_mutant_name,
    orig_function_and_class_names_from_key,
)

from tests.mutation.changes import adapt
from tests.mutation.named import TESTS, path_of, tests_of
from tests.mutation.survivors import Change, Figures, read, report
from tests.mutation.trials import Trial, survivors

SAMPLE = "*9"
"""Every tenth change of a function; of these modules, which take seconds."""
SAMPLED = ("worker.policy.holding", "worker.switches.refused_pairs")


def main(arguments: list[str]) -> int:
    """Make the changes, run the tests on each, and compare what survives with the list."""
    # Not where pytest collects what is printed.
    shown = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)

    def say(line: str) -> None:
        print(line, file=shown)

    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", help="modules, as in worker.policy.phases; none: all")
    parser.add_argument("--sample", action="store_true", help="a small fixed part: seconds")
    parser.add_argument(
        "--lua", action="store_true", help="the scripts of limits, nonces and deadlines"
    )
    asked = parser.parse_args(arguments)
    if asked.lua:
        # It imports the worker, which the other runs must not do before it is changed.
        from tests.mutation import lua  # noqa: PLC0415

        return _reported(lua.run(say), whole=True)
    modules = asked.names or (SAMPLED if asked.sample else TESTS)
    made = _make(modules)
    if asked.sample:
        made = {each: [n for n in names if fnmatch(n, SAMPLE)] for each, names in made.items()}
    with change_cwd("mutants"):
        trials = [_trial(module, name) for module, names in made.items() for name in names]
        survived = survivors(trials, _begin, _watch, say)
    figures = [_figures(module, names, survived) for module, names in made.items()]
    return _reported(figures, whole=not asked.sample)


def _reported(made: Sequence[Figures], *, whole: bool) -> int:
    """Print the figures; return 1 where the list is not right."""
    listed = read(Path(__file__).with_name("survivors.toml"))
    text, ok = report(made, listed, whole=whole)
    print(text)  # noqa: T201
    return 0 if ok else 1


def _make(modules: Iterable[str]) -> dict[str, list[str]]:
    """Write a copy of the project that has all changes to these modules; return their names."""
    config().only_mutate = [path_of(module) for module in modules]
    shutil.rmtree("mutants", ignore_errors=True)
    adapt()
    with redirect_stdout(None):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(2)
    setup_source_paths()
    made = {}
    for module in modules:
        data = SourceFileMutationData(path=path_of(module))
        data.load()
        made[module] = [*data.exit_code_by_key]
    return made


def _trial(module: str, name: str) -> Trial:
    function = mangled_name_from_mutant_name(name)
    return Trial(name, function, tests_of(module))


def _begin(name: str) -> None:
    """Make a change, or have the copy note which functions are called."""
    # Each call of a function asks for it: this is faster than the environment.
    trampoline.get_mutant_under_test = lambda: name


def _watch() -> Callable[[], Iterable[str]]:
    """Have the copy note which functions are called; return what returns them."""
    _begin("stats")

    def reached() -> Iterable[str]:
        names = {*state()._stats}  # noqa: SLF001
        state()._stats.clear()  # noqa: SLF001
        return names

    return reached


def _figures(module: str, made: Sequence[str], survived: set[str]) -> Figures:
    """Return the results of the changes to one module."""
    changes = tuple(_change(name, module, path_of(module)) for name in made if name in survived)
    return Figures(module=module, made=len(made), survived=changes)


def _change(name: str, module: str, path: str) -> Change:
    function, of = orig_function_and_class_names_from_key(name)
    lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
    was, now = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return Change(f"{module}.{of}.{function}" if of else f"{module}.{function}", was, now)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
