"""The documents: complete, correct about the code, and pointing at what exists."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typer.core import TyperGroup
from typer.main import get_command

import worker
from tests.support.compose_services import TOP
from worker.config.accounts import Account
from worker.config.settings import Settings, load_settings
from worker.exchanges import EXCHANGES
from worker.model.notices import EVENTS
from worker.telemetry.metrics import ALERTS

SITE = TOP / "ops" / "docs"
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "ops").rglob("*.md")])
README_WORDS_MAX = 900
README_LINES_MAX = 130
README_LINE_MAX = 100
GLOSSARY = 25
NOTHING = "\N{EN DASH}"
"""What tables show in place of nothing."""
ROW = re.compile(r"^\| `([^`]+)` \| (.*?) \|", re.MULTILINE)
PATH = re.compile(r"`((?:ops|tests|worker)/[\w./-]+)`")
CODE = re.compile(r"^```\w*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<!namespace )cancel-worker(?: --config \S+)? ([a-z][a-z-]*)([^|;&#]*)")
OPTION = re.compile(r" (--[a-z-]+)")
LINK = re.compile(r"\]\((?!http)([^)#]+)")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the site is built from, so that tests may change it."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("zensical.toml", *(page.name for page in TOP.glob("*.md"))):
        shutil.copy(TOP / name, folder)
    shutil.copytree(SITE, folder / "ops" / "docs")
    (folder / "worker").symlink_to(TOP / "worker")
    return folder


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as `ops/check` does."""
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


def page(name: str) -> str:
    """Return the text of a page of the site."""
    return (SITE / name).read_text()


def section(text: str, heading: str) -> str:
    """Return the text under a heading of the second level."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the code blocks of a language, each with the name of its page."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(path.name, code) for path in PAGES for code in fence.findall(path.read_text())]


# The site


def test_reference_is_built_from_the_docstrings(sources: Path) -> None:
    """One command, no warning; every public name is in it with its text."""
    done = build(sources)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    html = (sources / ".site" / "api.html").read_text()
    for name in importlib.import_module("worker").__all__:
        home = getattr(worker, name).__module__
        assert re.search(rf'id="(worker|{home})\.{name}"', html), name
    assert "Returns once Redis has recorded the job" in html


@pytest.mark.parametrize("link", ["operations/missing.md", "operations/deploy.md#missing"])
def test_broken_link_fails_the_build(sources: Path, link: str) -> None:
    """A page or a heading that does not exist is an error."""
    index = sources / "ops" / "docs" / "index.md"
    text = index.read_text()
    index.write_text(f"{text}\n[broken]({link})\n")
    try:
        assert build(sources).returncode != 0
    finally:
        index.write_text(text)


def test_every_page_is_in_the_navigation() -> None:
    """A page that no menu names is not found."""

    def named(entry: object) -> Iterator[str]:
        match entry:
            case str():
                yield entry
            case dict():
                for value in entry.values():
                    yield from named(value)
            case list():
                for value in entry:
                    yield from named(value)
            case _:
                raise TypeError(entry)

    config = tomllib.loads((TOP / "zensical.toml").read_text())
    pages = {str(path.relative_to(SITE)) for path in SITE.rglob("*.md")}
    assert set(named(config["project"]["nav"])) == pages


# What pages refer to


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_page_names_files_that_exist(path: Path) -> None:
    """What a page sends its reader to exists."""
    text = path.read_text()
    for name in PATH.findall(text):
        assert (TOP / name).exists(), name
    for name in LINK.findall(text):
        assert (path.parent / name).exists(), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_page_names_commands_that_exist(path: Path) -> None:
    """A command of ours that a page shows is one that the program has, with these options."""
    text = path.read_text()
    for line in (line for code in CODE.findall(text) for line in "\n".join(code).splitlines()):
        for command, words in COMMAND.findall(line):
            found = commands()[command]
            if isinstance(found, TyperGroup) and words.split()[:1]:
                found = found.commands[words.split()[0]]
            known = {option for parameter in found.params for option in parameter.opts}
            assert set(OPTION.findall(words)) <= known, line
    for module in re.findall(r"python -m (tests\.[\w.]+)", text):
        place = TOP / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists()


def commands() -> Mapping[str, Any]:
    """Return the commands of the program by name."""
    from worker.cli.app import app  # noqa: PLC0415  slow

    program = get_command(app)
    assert isinstance(program, TyperGroup)
    return program.commands


def test_python_blocks_use_public_names() -> None:
    """They compile, and import from `worker` what it offers."""
    shown = blocks("python")
    assert shown
    for name, code in shown:
        if "import" in code:  # else it is a part of a file
            compile(code, name, "exec")
        for imported in re.findall(r"^from worker import (.+)$", code, re.MULTILINE):
            assert set(imported.split(", ")) <= set(importlib.import_module("worker").__all__), name


def test_toml_blocks_are_valid_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example is accepted as it is."""
    shown = blocks("toml")
    assert shown
    for number, (name, code) in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(code)
        monkeypatch.setenv("WORKER_CONFIG", str(path))
        assert load_settings().accounts, name


# What pages state about the code


def tables() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each table of the settings with its heading in the page."""
    yield "Top level", Settings
    yield "`[accounts.ALIAS]`", Account
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"`[{name}]`", kind


def default(kind: type[BaseModel], key: str) -> str | None:
    """Return the default of a setting as the page writes it; None if it depends on others."""
    field = kind.model_fields[key]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    match value:
        case None:
            return NOTHING
        case bool():
            return f"`{str(value).lower()}`"
        case int() | tuple():
            return f"`{value}`"
        case str():
            return f"`{value}`" if value else None
        case _ if hasattr(value, "get_secret_value"):
            return f"`{value.get_secret_value()}`"
        case _:
            return None


def test_settings_page_has_every_setting_with_its_default() -> None:
    """And none that does not exist."""
    text = page("settings.md")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    expected = dict(tables())
    assert headings == [*expected]
    for heading, kind in expected.items():
        shown = dict(ROW.findall(section(text, heading)))
        plain = {
            name
            for name, field in kind.model_fields.items()
            if kind is not Settings
            or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
        } - ({"accounts"} if kind is Settings else set())
        assert set(shown) == plain, heading
        for key, value in shown.items():
            known = default(kind, key)
            if known is not None and not value.startswith("the exchange's"):
                assert value == known, f"{heading} {key}"


def test_exchanges_page_has_every_exchange() -> None:
    """With its hosts and its limits."""
    text = page("exchanges.md")
    shown = dict(ROW.findall(text.partition("\n## ")[0]))
    assert set(shown) == set(EXCHANGES)
    for name, exchange in EXCHANGES.items():
        hosts = (exchange.hosts.production, exchange.hosts.testnet, *exchange.hosts.others)
        assert [host for host in hosts if host and f"`{host}`" not in text] == []
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` ")]
        for limit in exchange.capabilities.limits:
            assert f"{limit.max_requests} " in row
            assert f"in {limit.window_ms // 1_000} s" in row
    readme = (TOP / "README.md").read_text()
    for name in EXCHANGES:
        assert f"`{name}`" in readme


def test_command_line_page_has_every_command() -> None:
    """And none that does not exist."""
    assert set(dict(ROW.findall(page("shell.md")))) == set(commands())


def test_alerts_page_has_every_rule_and_every_kind() -> None:
    """Rules with their severity, kinds as the program raises them."""
    text = page("operations/alerts.md")
    groups = yaml.safe_load((TOP / "ops" / "prometheus" / "alerts.yml").read_text())["groups"]
    rules = {rule["alert"]: rule["labels"]["severity"] for it in groups for rule in it["rules"]}
    shown = re.findall(r"^\| \[(\w+)\]\(runbook\.md#(\w+)\) \| (\w+) \|", text, re.MULTILINE)
    assert {name: severity for name, _, severity in shown} == rules
    assert [anchor for name, anchor, _ in shown if anchor != name.lower()] == []
    assert set(dict(ROW.findall(section(text, "Kinds")))) - {"kind"} == set(ALERTS)


def test_notifications_page_has_every_event() -> None:
    """And none that does not exist."""
    text = page("operations/notifications.md")
    assert set(dict(ROW.findall(section(text, "Events")))) == set(EVENTS)


def test_glossary_has_25_words_in_order() -> None:
    """One line each."""
    words = re.findall(r"^\| ([a-z][a-z ()]+) \|", page("glossary.md"), re.MULTILINE)
    assert len(words) == GLOSSARY
    assert words == sorted(words)


def test_readme_stays_short() -> None:
    """What does not fit belongs on the site."""
    text = (TOP / "README.md").read_text()
    assert len(text.split()) <= README_WORDS_MAX
    assert len(text.splitlines()) <= README_LINES_MAX
    assert max(map(len, text.splitlines())) <= README_LINE_MAX
    assert "dead man's switch" in text


def test_readme_has_the_two_commands() -> None:
    """CI calls the second."""
    text = (TOP / "README.md").read_text()
    assert "uv run cancel-worker demo" in text
    assert "uv run pytest" in text


def test_version_is_the_same_everywhere() -> None:
    """One place in the code; what else names it agrees."""
    version = worker.__version__
    changelog = (TOP / "CHANGELOG.md").read_text()
    (newest, *_) = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest == version
    images = yaml.safe_load((TOP / "ops" / "k8s" / "kustomization.yaml").read_text())["images"]
    assert {image["newTag"] for image in images} == {version}
    assert f"cancel-worker:{version}" in page("operations/deploy.md")
