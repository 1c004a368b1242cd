#!/usr/bin/env python3
"""Score the language of the code and its documents: idioms per 1,000 words.

Reads docstrings, comments, texts of logs, errors and help, and documents. Exits with 1
if the score of all of them is above `LIMIT`. The words are in `idioms.txt`.

`ops/idioms.py` prints the score of each folder and the worst files; with paths
it prints each finding below them.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIMIT = 1.0
"""Idioms per 1,000 words that pass."""
SENTENCE = 4
"""Words from which on a string of the program counts as a text."""
WORST = 12
"""Files listed in the summary."""
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
CODE = re.compile(r"`[^`\n]*`")
HASH = re.compile(r"(?:^|\s)#\s(.*)")
PROSE_KEY = re.compile(r"^\s*(?:summary|description):\s*(.*)")
HASHED = {".yaml", ".yml", ".toml", ".conf", ".service", ".target", ""}
FOLDERS = ("worker", "tests", "ops", ".ci")
SKIPPED = {"data", "__pycache__", "idioms"}
"""Folders, and names of files, that are not read."""


class Text(NamedTuple):
    """A piece of prose and the line on which it starts."""

    line: int
    text: str


class Finding(NamedTuple):
    """An idiom and what to write instead."""

    line: int
    idiom: str
    instead: str


class Idioms(NamedTuple):
    """A pattern with a named group for each idiom, and by group what to write instead."""

    found: re.Pattern[str]
    instead: dict[str, str]


class Score(NamedTuple):
    """How many words were read, and how many idioms are among them."""

    words: int
    idioms: int

    @property
    def per_thousand(self) -> float:
        """Idioms per 1,000 words; 0 for no words."""
        return 1_000 * self.idioms / self.words if self.words else 0.0


def main() -> int:
    """Print the scores or the findings; return the exit code."""
    parser = argparse.ArgumentParser(description="Count idioms per 1,000 words.")
    parser.add_argument("paths", nargs="*", type=Path, help="print every finding below these")
    paths: list[Path] = parser.parse_args().paths
    idioms = read_idioms()
    if paths:
        for path in files_in(paths):
            for line, idiom, instead in findings(texts(path), idioms):
                print(f"{path}:{line}: {idiom!r}: write {instead}")  # noqa: T201
        return 0
    scores = {}
    for path in files_in([*ROOT.glob("*.md"), *(ROOT / name for name in FOLDERS)]):
        prose = [*texts(path)]
        words = sum(len(WORD.findall(text)) for _, text in prose)
        scores[path.relative_to(ROOT)] = Score(words, len([*findings(prose, idioms)]))
    return report(scores)


def report(scores: dict[Path, Score]) -> int:
    """Print the summary; return 1 if the score of all files is above `LIMIT`."""
    folders: dict[str, list[Score]] = {}
    for path, score in scores.items():
        folders.setdefault("/".join(path.parts[:-1][:2]) or ".", []).append(score)
    for folder, parts in sorted(folders.items()):
        print_score(folder, total(parts))
    print("\nMost idioms:")  # noqa: T201
    for path in sorted(scores, key=lambda path: -scores[path].idioms)[:WORST]:
        print_score(str(path), scores[path])
    score = total(scores.values())
    print_score("\nall", score)
    if score.per_thousand > LIMIT:
        print(f"above the limit of {LIMIT}: see ops/idioms.py PATH", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def total(scores: Iterable[Score]) -> Score:
    """Return the sum of scores."""
    parts = [*scores]
    return Score(sum(part.words for part in parts), sum(part.idioms for part in parts))


def print_score(name: str, score: Score) -> None:
    """Print one row of the summary."""
    print(f"{name:<46}{score.words:>8} words{score.idioms:>6} idioms{score.per_thousand:>8.2f}")  # noqa: T201


def read_idioms() -> Idioms:
    """Return the patterns of `idioms.txt`."""
    rows = [
        re.split(r"\s{2,}", line, maxsplit=1)
        for line in (ROOT / "ops/idioms.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    joined = "|".join(f"(?P<idiom{index}>{pattern})" for index, (pattern, _) in enumerate(rows))
    found = re.compile(rf"(?<![\w-])(?:{joined})(?!\w)", re.IGNORECASE)
    return Idioms(found, {f"idiom{index}": instead for index, (_, instead) in enumerate(rows)})


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files in these folders, and those named themselves."""
    for path in paths:
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file() and not SKIPPED & {each.stem, *each.parts}:
                yield each


def findings(prose: Iterable[Text], idioms: Idioms) -> Iterator[Finding]:
    """Yield the idioms in some texts, in order."""
    for line, text in prose:
        for match in idioms.found.finditer(text):
            at = line + text.count("\n", 0, match.start())
            yield Finding(at, match.group(), idioms.instead[str(match.lastgroup)])


def texts(path: Path) -> Iterator[Text]:
    """Yield the prose of a file, without what stands in backticks."""
    reader = {".py": _python, ".lua": _lua, ".md": _markdown, ".json": _json}.get(path.suffix)
    if reader is None:
        reader = _hashed if path.suffix in HASHED else _nothing
    try:
        source = path.read_text("utf-8")
    except UnicodeDecodeError:
        return
    for line, text in reader(source, path):
        yield Text(line, CODE.sub("", text))


def _nothing(source: str, path: Path) -> Iterator[Text]:  # noqa: ARG001  as the other readers
    yield from ()


def _python(source: str, path: Path) -> Iterator[Text]:
    """Yield comments and docstrings and, outside tests, strings of several words."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string)
    tests = "tests" in path.resolve().relative_to(ROOT).parts
    yield from _strings(ast.parse(source), tests=tests)


def _strings(node: ast.AST, *, tests: bool) -> Iterator[Text]:
    """Yield docstrings and, outside tests, texts; of tests their names, which are sentences."""
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
        yield Text(node.lineno, node.name.replace("_", " "))
    for child in ast.iter_child_nodes(node):
        bare = isinstance(node, ast.Expr)
        if isinstance(child, ast.JoinedStr):
            parts = [part.value for part in child.values if isinstance(part, ast.Constant)]
            text = " … ".join(str(part) for part in parts)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            text = child.value
        else:
            yield from _strings(child, tests=tests)
            continue
        if bare or (not tests and len(WORD.findall(text)) >= SENTENCE):
            yield Text(child.lineno, text)


def _lua(source: str, path: Path) -> Iterator[Text]:  # noqa: ARG001  as the other readers
    for number, line in enumerate(source.splitlines(), start=1):
        _, dashes, comment = line.partition("--")
        if dashes:
            yield Text(number, comment)


def _markdown(source: str, path: Path) -> Iterator[Text]:  # noqa: ARG001  as the other readers
    """Yield a document's lines, and of examples of code the comments."""
    example = False
    for number, line in enumerate(source.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            example = not example
        elif not example:
            yield Text(number, line)
        elif match := HASH.search(line):
            yield Text(number, match[1])


def _json(source: str, path: Path) -> Iterator[Text]:
    """Yield what Grafana's dashboards show."""
    if path.parent.name == "dashboards":
        for number, line in enumerate(source.splitlines(), start=1):
            if match := re.fullmatch(r'\s*"(?:title|description)": (".*"),?', line):
                yield Text(number, json.loads(match[1]))


def _hashed(source: str, path: Path) -> Iterator[Text]:  # noqa: ARG001  as the other readers
    """Yield comments after a number sign, and what alerts say."""
    for number, line in enumerate(source.splitlines(), start=1):
        if match := HASH.search(line) or PROSE_KEY.match(line):
            yield Text(number, match[1])


if __name__ == "__main__":
    sys.exit(main())
