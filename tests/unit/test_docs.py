"""The pages for operators and the API reference: complete, and pointing at what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import worker
from tests.support.compose_services import TOP

PAGES = sorted([TOP / "README.md", *(TOP / "ops").rglob("*.md")])
README_LINES_MAX = 130


def test_reference_is_built_from_the_docstrings(tmp_path: Path) -> None:
    """One command, no warning; every public name is in it with its text."""
    command = [sys.executable, "-W", "error", "-m", "pdoc", "--docformat", "google", "worker"]
    done = subprocess.run(
        [*command, "-o", tmp_path], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "worker.html").read_text()
    for name in worker.__all__:
        assert f'id="{name}"' in page, name
    assert "Returns once Redis has recorded it" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_files_that_are_there(page: Path) -> None:
    """What a page sends its reader to exists."""
    for name in re.findall(r"`(ops/[\w./-]+|tests/[\w./-]+)`", page.read_text()):
        assert (TOP / name).exists(), name
    for name in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_commands_that_are_there(page: Path) -> None:
    """A command of ours that a page shows is one that the program has."""
    text = page.read_text()
    shown = set(re.findall(r"(?:^|`|worker )cancel-worker ([a-z-]+)", text, re.MULTILINE))
    from worker.cli.app import app  # noqa: PLC0415  slow

    known = {command.name for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert shown <= known
    for module in re.findall(r"python -m (tests\.[\w.]+)", text):
        place = TOP / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists()


def test_readme_stays_one_page() -> None:
    """What does not fit goes to ops/."""
    assert len((TOP / "README.md").read_text().splitlines()) <= README_LINES_MAX
