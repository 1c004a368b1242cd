"""How the command line prints."""

from __future__ import annotations

import sys

import pytest

from worker.cli import output
from worker.cli.check.command import print_findings
from worker.cli.check.findings import ok, warn


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"),
        (-5, "0ms"),
        (0, "0ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (1_540, "1.5s"),
        (999.6, "1s"),
        (59_960, "1m"),
        (60_000, "1m"),
        (3_540_000, "59m"),
        (3_599_990, "1h"),
        (5_400_000, "1.5h"),
        (172_800_000, "2d"),
    ],
)
def test_durations_read_well(ms: float | None, text: str) -> None:
    """A unit that fits, one decimal at most."""
    assert output.duration(ms) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("[bold]", "[bold]"),
        ("…é", "…é"),
        ("\udcff", "\\udcff"),
    ],
)
def test_a_cell_is_one_harmless_line(value: object, text: str) -> None:
    """What an exchange or a stranger wrote cannot move the terminal."""
    assert output.shown(value) == text


def test_without_a_terminal_tables_are_plain_and_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No colors, no borders, nothing cut, whatever the width."""
    output.table(("ID", "KNOWN"), [("x" * 300, "canceled [red]"), ("y", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "ID" + " " * 300 + "KNOWN",
        "x" * 300 + "  canceled [red]",
        "y" + " " * 301 + "-",
    ]


def test_on_a_terminal_tables_fit_it_and_keep_every_character(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long cells are folded, never cut; markup in them is text."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    output.table(("ID", "STATE"), [("abcdefghij" * 6, "dead"), ("[red]", "done")])
    out = capsys.readouterr().out
    assert "\x1b[1;31mdead" in out
    lines = without_colors(out)
    assert max(map(len, lines)) <= 40
    assert "".join(line[:31].strip() for line in lines[3:5]) == "abcdefghij" * 6
    assert "[red]" in out


def test_ids_are_in_one_piece_at_80_columns_and_empty_columns_are_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that they can be copied; the other columns take what is left."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    job_id = "0123456789abcdef01234567"
    headers = ("ID", "STATE", "PAIR", "OUTCOME", "KNOWN")
    output.table(headers, [(job_id, "done", None, "CANCELED", "of words a long row " * 5)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert job_id in out
    assert "PAIR" not in out
    child = f"{job_id}.0.0123456789abcdef"
    headers = ("ID", "STATE", "ACCOUNT", "ORDER", "KNOWN")
    output.table(headers, [(child, "done", "ev", "a" * 32, "canceled")])
    assert capsys.readouterr().out.splitlines() == [
        child,
        f"  state done  account ev  order {'a' * 32}  known canceled",
    ]
    order = "164999856000545735"
    headers = ("ORDER", "PROVEN", "OUTCOME", "TOOK", "JOB")
    output.table(headers, [(order, True, "CANCELED", "66ms " * 4, job_id)])
    drawn = capsys.readouterr().out
    assert (order in drawn, job_id in drawn) == (True, True)
    headers = ("TRY", "AT", "BY", "OUTCOME", "KNOWN")
    moment, known = "2026-11-30T23:34:06.058+00:00", "HTTP 200: 51400 Cancellation failed"
    output.table(headers, [(1, moment, "vm:32429:d72eaf:23396", "UNKNOWN", known)])
    assert capsys.readouterr().out.splitlines() == [
        "1",
        f"  at {moment}  by vm:32429:d72eaf:23396  outcome UNKNOWN",
        f"  known {known}",
    ]


def test_long_values_are_wrapped_below_themselves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, at its width; elsewhere a value is one line."""
    rows = [("held", "by workers: " + "a reason of many words " * 4), ("", "more"), ("dead", "0")]
    output.facts(rows)
    assert capsys.readouterr().out.splitlines()[1:] == ["      more", "dead  0"]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    output.facts(rows)
    first, *others, more, last = capsys.readouterr().out.splitlines()
    assert first == "held  by workers: a reason of many words"
    assert others == [
        "      a reason of many words a reason of",
        "      many words a reason of many words",
    ]
    assert max(map(len, [first, *others])) <= 40
    assert (more, last) == ("      more", "dead  0")


def test_a_table_without_rows_says_so_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere its headers are printed, for programs that skip the first line."""
    output.table(("ID", "STATE"), [], nothing="no jobs")
    assert capsys.readouterr().out == "ID  STATE\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table(("ID", "STATE"), [], nothing="no jobs")
    assert capsys.readouterr().out == "no jobs\n"


def test_check_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subjects in one piece; what to do is below what is wrong, and as wide."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    detail = "kucoin at http://127.0.0.1:36815/kucoin: api_key, api_secret, passphrase present"
    findings = [
        ok("accounts.ku", detail),
        warn("redis maxmemory-policy", "allkeys-lru", "set it to noeviction"),
    ]
    print_findings(findings, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [" ".join(line.split()) for line in lines[3:7]] == [
        "ok accounts.ku kucoin at http://127.0.0.1:36815/kucoin:",
        "api_key, api_secret, passphrase present",
        "warn redis maxmemory-policy allkeys-lru",
        "fix: set it to noeviction",
    ]


def without_colors(out: str) -> list[str]:
    """Return the lines as they look."""
    for code in ("\x1b[1;31m", "\x1b[32m", "\x1b[1m", "\x1b[0m"):
        out = out.replace(code, "")
    return out.splitlines()
