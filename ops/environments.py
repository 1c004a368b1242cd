#!/usr/bin/env python3
"""Install the package as a strategy would, beside other libraries, and run the client's tests.

Each environment has the newest versions that its Python allows. Needs uv and a package registry:

    uv run ops/environments.py            # all
    uv run ops/environments.py redis-5    # some, by name
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from worker.store.embedded import server_binary

TOP = Path(__file__).resolve().parent.parent
PYTHONS = ("3.13", "3.12", "3.11")
"""Newest first."""
CLIENT = (
    "tests/unit/test_producer.py",
    "tests/unit/test_client_settings.py",
    "tests/unit/test_public_names.py",
    "tests/integration/test_switch_producer.py",
    "tests/integration/test_async_producer.py",
)
HUMMINGBOT = (
    *("cython>=3.0.12", "setuptools", "wheel"),
    *("aiohttp", "aiomqtt", "aioprocessing", "async-timeout", "base58", "bidict", "cachetools"),
    *("cryptography", "eth-account", "hexbytes", "numpy>=2.2.6", "pandas>=2.3.2", "prompt-toolkit"),
    *("protobuf", "psutil", "pydantic>=2", "pyperclip", "pyyaml", "ruamel-yaml", "scipy", "six"),
    *("sqlalchemy", "tabulate", "ujson"),
)
"""What it is compiled with, and what its strategies import; for its exchanges it needs more."""
TOOLS = ("pytest", "pytest-timeout", "hypothesis")
REPORTED = " after the deadline"
"""What a test reports, and this too."""
IMPORTS = 7
"""How often an import is timed; the fastest counts."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages to install beside this one, and tests of its own.

    Attributes:
        shown: Packages whose versions are reported.
        built: Packages without wheels, compiled here beside `packages`, their dependencies.
        pythons: Newest first.
    """

    packages: tuple[str, ...] = ()
    shown: tuple[str, ...] = ("redis",)
    checks: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    pythons: tuple[str, ...] = PYTHONS


ENVIRONMENTS = {
    "base": Environment(checks=("tests/environments/check_thin.py",)),
    "redis-5": Environment(("redis==5.0.1",), checks=("tests/environments/check_thin.py",)),
    "redis-newest": Environment(("redis[hiredis]",), shown=("redis", "hiredis")),
    "celery": Environment(("celery>=5.7", "redis"), shown=("redis", "celery")),
    "ccxt": Environment(("ccxt",), ("redis", "ccxt"), ("tests/environments/check_ccxt.py",)),
    "freqtrade": Environment(
        ("freqtrade",), ("redis", "freqtrade"), ("tests/environments/check_freqtrade.py",)
    ),
    "nautilus_trader": Environment(
        ("nautilus_trader",),
        ("redis", "nautilus-trader"),
        ("tests/environments/check_nautilus.py",),
    ),
    "hummingbot": Environment(
        HUMMINGBOT,
        ("redis", "hummingbot"),
        ("tests/environments/check_hummingbot.py",),
        built=("hummingbot",),
        pythons=("3.12",),  # that of its own installation
    ),
}


def main() -> int:
    """Make the environments, run the tests, print a line for each; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", choices=[*ENVIRONMENTS, []], metavar="NAME")
    names = parser.parse_args().names or [*ENVIRONMENTS]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run("uv", "build", "--quiet", "--wheel", "--out-dir", str(place / "wheel"), str(TOP))
        (wheel,) = (place / "wheel").glob("*.whl")
        bin_folder = place / "bin"
        bin_folder.mkdir()
        (bin_folder / "redis-server").symlink_to(server_binary())
        for name in names:
            failed += not judge(name, ENVIRONMENTS[name], place / name, wheel, bin_folder)
    return 1 if failed else 0


def judge(name: str, wanted: Environment, place: Path, wheel: Path, bin_folder: Path) -> bool:
    """Make one environment, measure it and run the tests there; return whether they passed."""
    python = make(place, wheel, wanted)
    if python is None:
        beside = ", ".join((*wanted.packages, *wanted.built))
        say(f"{name:16} FAILED: it cannot be installed beside {beside}")
        return False
    size_mb = sum(each.stat().st_size for each in place.rglob("*") if each.is_file()) / 1e6
    listed = run("uv", "pip", "list", "--quiet", "--python", str(python)).split()
    names = [name.replace("_", "-") for name in listed[::2]]
    versions = dict(zip(names, listed[1::2], strict=True))
    ratio, client_ms = import_times(python)
    run("uv", "pip", "install", "--quiet", "--python", str(python), *TOOLS)
    # Not in the checkout, where `worker` would be imported from its sources.
    tests = place / "run"
    shutil.copytree(TOP / "tests", tests / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    path = f"{bin_folder}:{os.environ['PATH']}"
    shutil.copytree(TOP / "ops" / "examples", tests / "ops" / "examples")
    done = subprocess.run(  # noqa: S603  our own arguments
        [python, "-m", "pytest", "-q", "--no-header", "-rP", *options(), *CLIENT, *wanted.checks],
        cwd=tests,
        env={**os.environ, "PATH": path, "HOST_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    verdict = done.stdout.strip().splitlines()[-1].strip("= ")
    shown = [f"Python {run(str(python), '-V').split()[1]}"]
    shown += [f"{each} {versions[each]}" for each in wanted.shown]
    say(
        f"{name:16} {', '.join(shown)}; {len(versions) - 2} packages, {size_mb:.0f} MB; "
        f"the client imports in {client_ms:.0f} ms, {ratio:.2f} times redis; {verdict}"
    )
    for line in done.stdout.splitlines():
        if REPORTED in line:
            say(f"{'':16} {line}")
    if done.returncode:
        say(done.stdout)
    return done.returncode == 0


def options() -> list[str]:
    """Return options for pytest without this project's file."""
    warnings = "filterwarnings=error::DeprecationWarning:worker"  # other packages have theirs
    given = ("pythonpath=.", warnings)
    return ["--import-mode=importlib", "-p", "no:cacheprovider", *(f"-o{each}" for each in given)]


def make(place: Path, wheel: Path, wanted: Environment) -> Path | None:
    """Make an environment with the newest Python that the packages allow; None without one."""
    python = place / "bin" / "python"
    for found in pythons(wanted.pythons):
        if tried("uv", "venv", "--quiet", "--python", str(found), str(place)):
            install = ("uv", "pip", "install", "--quiet", "--python", str(python))
            compiled = ("--no-deps", "--no-build-isolation", *wanted.built)
            if tried(*install, str(wheel), *wanted.packages) and (
                not wanted.built or tried(*install, *compiled)
            ):
                return python
            shutil.rmtree(place)
    return None


def pythons(wanted: tuple[str, ...]) -> list[Path]:
    """Return the Pythons of this machine, newest first, also those that pyenv has installed."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for version in wanted:
        installed = sorted(versions.glob(f"{version}.*/bin/python{version}"), reverse=True)
        on_path = shutil.which(f"python{version}")
        found += installed or ([Path(on_path)] if on_path else [])
    return found


def import_times(python: Path) -> tuple[float, float]:
    """Return how often longer than redis the client takes to import, and its time in ms."""
    nothing, redis, client = (
        min(import_ms(python, code) for _ in range(IMPORTS))
        for code in ("pass", "import redis", "from worker import Producer")
    )
    return (client - nothing) / (redis - nothing), client - nothing


def import_ms(python: Path, code: str) -> float:
    """Return how long a process takes that imports something."""
    began = time.perf_counter()
    run(str(python), "-I", "-c", code)
    return (time.perf_counter() - began) * 1_000


def run(*command: str) -> str:
    """Run a command in a folder without this project; return what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd="/")  # noqa: S603
    return done.stdout


def tried(*command: str) -> bool:
    """Run a command; return whether it succeeded."""
    environment = {
        **os.environ,
        "UV_PYTHON_DOWNLOADS": "never",
        "WITHOUT_CYTHON_OPTIMIZATIONS": "1",  # hummingbot compiles in 4 minutes so
    }
    done = subprocess.run(  # noqa: S603  our own arguments
        command, check=False, cwd="/", env=environment, stderr=subprocess.DEVNULL
    )
    return not done.returncode


def say(line: str) -> None:
    """Print a line now."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
