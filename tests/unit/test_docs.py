"""The pages for operators and the API reference: complete, and pointing at what is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import worker
from tests.support.compose_services import TOP

PAGES = sorted([TOP / "README.md", *(TOP / "ops").rglob("*.md")])
README_LINES_MAX = 130


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the site is built from, so that tests may change it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(TOP / "zensical.toml", folder)
    shutil.copytree(TOP / "ops" / "docs", folder / "ops" / "docs")
    (folder / "worker").symlink_to(TOP / "worker")
    return folder


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as `ops/check` does."""
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


def test_reference_is_built_from_the_docstrings(sources: Path) -> None:
    """One command, no warning; every public name is in it with its text."""
    done = build(sources)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    page = (sources / ".site" / "api.html").read_text()
    for name in worker.__all__:
        home = worker._HOMES[name]  # noqa: SLF001  where it is defined
        assert re.search(rf'id="worker\.({home}\.)?{name}"', page), name
    assert "Returns once Redis has recorded the job" in page


@pytest.mark.parametrize("link", ["operations/missing.md", "operations/deploy.md#missing"])
def test_broken_link_fails_the_build(sources: Path, link: str) -> None:
    """A page or a heading that does not exist is an error."""
    page = sources / "ops" / "docs" / "index.md"
    text = page.read_text()
    page.write_text(f"{text}\n[broken]({link})\n")
    try:
        assert build(sources).returncode != 0
    finally:
        page.write_text(text)


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
