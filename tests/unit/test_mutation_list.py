"""The list of changes that no test notices: read, compared with a run, and true of the code."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from tests.mutation.survivors import Change, Figures, Listed, read, report

LIST = Path(__file__).parent.parent / "mutation" / "survivors.toml"
A = Change("worker.policy.phases.able", "if a:", "if True:")
B = Change("worker.policy.phases.able", "return b", "return None")
C = Change("worker.policy.batch_sizing.BatchSizing.learn", "c + 1", "c - 1")
LISTED = Listed(equivalent={A: "a is always true"}, accepted={B: "words for people"})


def test_each_listed_change_is_of_a_line_that_is_there() -> None:
    """A line that was changed is looked at again."""
    listed = read(LIST)
    for change in [*listed.equivalent, *listed.accepted]:
        module = change.where.removesuffix(".lua")
        if module == change.where:
            _, folder, *named = ("", *module.split("."))
            text = _source(Path(folder, *named))
        else:
            text = (resources.files("worker.store") / "lua" / change.where).read_text()
        lines = [line.strip() for line in text.splitlines()]
        assert all(line in lines for line in change.was.splitlines()), change


def _source(named: Path) -> str:
    """Return the text of the module that a function or method is in."""
    root = Path(__file__).parents[2]
    while not (root / named).with_suffix(".py").is_file():
        named = named.parent
    return (root / named).with_suffix(".py").read_text()


def test_what_survived_must_be_listed() -> None:
    """And what is listed must survive, as far as it was tried."""
    text, ok = report([Figures("worker.policy.phases", 10, (A, B, C))], LISTED, whole=True)
    assert not ok
    assert f"survived, and is not listed: {C}" in text
    assert text.splitlines()[1].split() == ["policy.phases", "10", "7", "1", "1", "1", "77.8"]


@pytest.mark.parametrize(
    ("module", "survived", "whole", "right"),
    [
        ("worker.policy.phases", (A, B), True, True),
        ("worker.policy.phases", (A,), True, False),
        ("worker.policy.phases", (A,), False, True),
        ("worker.policy.batch_sizing", (), True, True),
        ("worker.gat", (), True, True),
        ("worker.policy.phases", (A, A, B), True, True),
    ],
)
def test_what_is_listed_must_survive(
    module: str,
    survived: tuple[Change, ...],
    whole: bool,  # noqa: FBT001
    right: bool,  # noqa: FBT001
) -> None:
    """Of the modules that were changed as a whole."""
    text, ok = report([Figures(module, 10, survived)], LISTED, whole=whole)
    assert ok is right
    assert ("listed, and no longer survives" in text) is not right


@pytest.mark.parametrize("text", ['why = ""', 'why = "x"\nchanges = [["a", "b"], ["a", "b"]]'])
def test_entry_without_a_reason_or_listed_twice_is_refused(text: str, tmp_path: Path) -> None:
    """The list says why, once."""
    path = tmp_path / "list.toml"
    changes = "" if "changes" in text else '\nchanges = [["a", "b"]]'
    path.write_text(f'[[accepted]]\nwhere = "m.f"\n{text}{changes}\n')
    with pytest.raises(ValueError, match="listed twice, or without a reason"):
        read(path)
