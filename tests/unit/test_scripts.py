"""The Lua files: each includes what it uses, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.model import constants
from worker.store import scripts

FOLDER = Path(scripts.__file__).parent / "lua"
FILES = sorted(str(path.relative_to(FOLDER))[:-4] for path in FOLDER.rglob("*.lua"))
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.lua"))
PRELUDE = {"lib/call", "lib/memory", "lib/raw_time"}
"""At the head of every script."""


def code(name: str) -> str:
    """Return a file without comments and texts."""
    return re.sub(r"--[^\n]*", "", re.sub(r"'[^'\n]*'", "''", scripts.source(name)))


def defined(name: str) -> set[str]:
    """Return what a file defines for others."""
    found = re.findall(r"^local (?:function (\w+)|([A-Za-z_][\w, ]*))", code(name), re.MULTILINE)
    return {
        each for function, names in found for each in [function, *names.strip().split(", ")] if each
    }


def used(name: str) -> set[str]:
    """Return what a file uses and does not define itself."""
    words = set(re.findall(r"(?<![.\w:])[A-Za-z_]\w*", code(name)))
    own = re.findall(r"\blocal (?:function )?([\w, ]+)", code(name))
    return words - {each for names in own for each in names.strip().split(", ")}


def included(name: str) -> list[str]:
    """Return the files that a file includes itself."""
    return re.findall(r"^--- @(?:include|lazy) (\S+)", scripts.source(name), re.MULTILINE)


def declared(name: str) -> list[str]:
    """Return the shared constants that a file declares."""
    return re.findall(r"^--- @constants (.+)", scripts.source(name), re.MULTILINE)


LIBRARY = {name: defined(name) for name in FILES if name.startswith("lib/")}


def test_nothing_is_defined_in_two_files() -> None:
    """Each name in the library has one meaning."""
    names = [each for file in LIBRARY.values() for each in file]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", FILES)
def test_each_file_includes_what_it_uses(name: str) -> None:
    """And nothing else."""
    needed = {file for file, names in LIBRARY.items() if file != name and names & used(name)}
    assert included(name) == sorted(needed - PRELUDE)


@pytest.mark.parametrize("name", FILES)
def test_each_file_declares_the_constants_it_uses(name: str) -> None:
    """And no others; nor does it state one itself."""
    shared = {each for each in vars(constants) if each.isupper()}
    needed = " ".join(sorted(used(name) & shared))
    assert declared(name) == [needed] * bool(needed)
    assert not defined(name) & shared


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_file_is_once_in_a_script(name: str) -> None:
    """Whatever includes it."""
    whole = scripts.whole(name, "")
    for file, names in LIBRARY.items():
        for each in names:
            assert len(re.findall(rf"^local function {each}\(", whole, re.MULTILINE)) <= 1, file
