"""The command: exits 1 where a change survives that `survivors.toml` does not list."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import orig_function_and_class_names_from_key
from mutmut.workers.isolation import run_in_fork

from tests.mutation.changes import adapt
from tests.mutation.survivors import Change, Figures, read, report

SAMPLE = "*9"
"""Every tenth change of a function; of the modules below, which take seconds."""
SAMPLE_TESTS = {
    "worker/exchanges/timer.py": "tests/unit/test_holding.py",
    "worker/switches/refused_pairs.py": "tests/unit/test_refused_pairs.py",
}


def main(arguments: list[str]) -> int:
    """Make the changes, run the tests on each, and compare what survives with the list."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", help="modules, as in worker.policy.phases; none: all")
    parser.add_argument("--sample", action="store_true", help="a small fixed part: seconds")
    parser.add_argument(
        "--again", action="store_true", help="keep what was killed of functions that are as before"
    )
    parser.add_argument("--lua", action="store_true", help="the limiter's and nonces' scripts")
    asked = parser.parse_args(arguments)
    if asked.lua:
        # It imports the worker, which the other runs must not do before it is changed.
        from tests.mutation import lua  # noqa: PLC0415

        return _reported([lua.run(script, print) for script in lua.TESTS], whole=True)
    wanted = [f"{name}.*" for name in asked.names]
    if asked.sample:
        wanted = [SAMPLE]
        config().only_mutate = [*SAMPLE_TESTS]
        config().pytest_add_cli_args_test_selection = sorted({*SAMPLE_TESTS.values()})
    if run_in_fork(_names_change):
        raise SystemExit("names of tests change with each collection: see tests.support.plain_ids")
    if asked.again:
        _forget_survivors()
    else:
        shutil.rmtree("mutants", ignore_errors=True)
    adapt()
    cli(["run", "--max-children", "1", *wanted], standalone_mode=False)
    made = [_figures(path, wanted) for path in sorted(config().only_mutate)]
    return _reported([each for each in made if each.made], whole=not asked.sample)


def _reported(made: Sequence[Figures], *, whole: bool) -> int:
    """Print the figures; return 1 where the list is not right."""
    listed = read(Path(__file__).with_name("survivors.toml"))
    text, ok = report(made, listed, whole=whole)
    print(text)  # noqa: T201
    return 0 if ok else 1


def _names_change() -> int:
    """Return 1 if a second collection in one process names tests otherwise than the first.

    A run would take each test that it does not find for one that notices the change.
    """
    names: list[list[str]] = []

    class Watch:
        """Keeps the names of each collection."""

        def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
            """Keep them."""
            names.append([item.nodeid for item in items])

    files = config().pytest_add_cli_args_test_selection
    for _ in range(2):
        pytest.main(["-n0", "-qqq", "--collect-only", *files], plugins=[Watch()])
    return int(names[0] != names[1])


def _forget_survivors() -> None:
    """Let a run try again what the last one did not see killed, with the tests as they are."""
    Path("mutants", "mutmut-stats.json").unlink(missing_ok=True)
    for path in config().only_mutate:
        data = SourceFileMutationData(path=Path(path))
        data.load()
        data.exit_code_by_key = {
            name: code if status_by_exit_code[code] == "killed" else None
            for name, code in data.exit_code_by_key.items()
        }
        data.save()


def _figures(path: str, wanted: Iterable[str]) -> Figures:
    """Return the results of the changes to one module."""
    data = SourceFileMutationData(path=Path(path))
    data.load()
    states = {
        name: status_by_exit_code[code]
        for name, code in data.exit_code_by_key.items()
        if not wanted or any(fnmatch(name, each) for each in wanted)
    }
    module = path.removesuffix(".py").replace("/", ".")
    return Figures(
        module=module,
        made=len(states),
        survived=tuple(
            _change(name, module, path)
            for name, state in states.items()
            if state not in ("killed", "timeout")
        ),
    )


def _change(name: str, module: str, path: str) -> Change:
    function, of = orig_function_and_class_names_from_key(name)
    lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
    was, now = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return Change(f"{module}.{of}.{function}" if of else f"{module}.{function}", was, now)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
