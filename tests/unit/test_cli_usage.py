"""What the command line says of wrong usage and settings, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from worker.cli import main
from worker.store.embedded import own_port

SECRET = "planted-secret-0123456789"
GOOD = f'[accounts.ev]\nexchange = "everstrike"\napi_key = "{SECRET}k"\napi_secret = "{SECRET}"\n'
INDODAX = GOOD.replace("everstrike", "indodax").replace("[accounts.ev]", "[accounts.ix]")

Told = tuple[int, str, str]
Run = Callable[..., Told]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder; return exit code, output and errors."""
    for name in [name for name in os.environ if name.startswith("WORKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKER_CONFIG", "")
    monkeypatch.setenv("WORKER_REDIS_URL", f"redis://:{SECRET}@127.0.0.1:{own_port()}/0")

    def go(*arguments: str) -> Told:
        code = main(arguments)
        told = capsys.readouterr()
        assert SECRET not in told.out + told.err
        assert "Traceback" not in told.err
        return code, told.out, told.err

    return go


def one_line(err: str) -> str:
    """Return the only line of an error."""
    assert err.count("\n") == 1, err
    assert err.startswith("cancel-worker: ")
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing command"),
        (("nosuch",), "No such command 'nosuch'"),
        (("dead",), "Missing command"),
        (("cancel",), "Missing argument 'ACCOUNT'"),
        (("cancel", "ev"), "give order ids, or --client-order-id"),
        (("cancel", "ev", "a", "--nosuch"), "No such option"),
        (("cancel", "ev", "a", "--wait", "soon"), "'--wait'"),
        (("cancel", "ev", "a", "--wait", "nan"), "give a time"),
        (("cancel", "ev", "a", "--wait", "inf"), "give a time"),
        (("cancel", "ev", "a", "--wait", "-1"), "give a time"),
        (("cancel", "ev", "a", "-"), "must be alone"),
        (("cancel-all", "ev", "--direct"), "this would cancel all open orders"),
        (("cancel", "nosuch", "a", "--direct"), "no account is configured"),
        (("jobs", "--state", "open"), "'pending', 'done', 'dead'"),
        (("jobs", "--limit", "0"), "'--limit'"),
        (("show",), "Missing argument 'ID'"),
        (("dead", "replay"), "give ids of dead letters, or --all"),
        (("dead", "replay", "a", "--all"), "give ids of dead letters, or --all"),
        (("dead", "discard"), "give ids of dead letters, or --all"),
        (("dead", "discard", "a", "b"), "this would delete a, b"),
        (("dead", "replay", "a", "--account", "ev"), "give ids of dead letters, or --all"),
        (("dead", "list", "--older-than", "2"), "2 has no unit: give 2s, 2ms or 2m"),
        (("dead", "list", "--outcome", "MAYBE"), "'--outcome'"),
        (("dead", "discard", "--all"), "this would delete every dead letter"),
        (("status", "--watch"), "--watch needs a terminal"),
        (("simulator", "--port", "70000"), "'--port'"),
        (("arm",), "Missing argument 'ACCOUNT'"),
        (("arm", "ev"), "give --timeout TIME, such as --timeout 30s, or --timeout-ms N"),
        (("arm", "ev", "--timeout-ms", "soon"), "'--timeout-ms'"),
        (("beat",), "Missing argument 'SWITCH'"),
        (("beat", "abc", "--epoch", "0"), "'--epoch'"),
        (("beat", "abc", "--every", "0"), "give a time"),
        (("beat", "abc", "--every", "nan"), "give a time"),
        (("beat", "abc", "--every", "1", "--json"), "no --json"),
        (("disarm",), "Missing argument 'SWITCH'"),
        (("switches", "--state", "open"), "'armed', 'tripped', 'disarmed'"),
        (("switches", "--limit", "0"), "'--limit'"),
        (("switches", "--watch"), "--watch needs a terminal"),
        (("switches", "--watch", "--json"), "--watch needs a terminal"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    """Wrong usage names what is wrong, in one line."""
    code, out, err = run(*arguments)
    assert code == 2
    assert words in one_line(err)
    assert_error(arguments, out, words)


def assert_error(arguments: tuple[str, ...], out: str, words: str) -> None:
    """Standard output has the error as JSON if that was asked for, else nothing."""
    if "--json" in arguments:
        assert words in json.loads(out)["error"]
    else:
        assert out == ""


def test_cancel_all_wants_a_yes(run: Run) -> None:
    """Without --yes it says what it would do, and does nothing."""
    code, out, err = run("cancel-all", "bm", "--pair", "BTC_USDT", "--side", "buy")
    assert code == 2
    assert "all open orders of account bm, pair BTC_USDT, side buy; add --yes" in one_line(err)
    assert out == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[accounts.ev\n", "not valid TOML"),
        ("redis_ur = 'x'\n", "redis_ur: unknown key; known: redis_url"),
        (GOOD + "apikey = 'x'\n", "accounts.ev.apikey: unknown key; known: exchange"),
        (GOOD.replace("everstrike", "nosuch"), "unknown exchange 'nosuch'"),
        (GOOD.replace("[accounts.ev]", "[accounts.EV]"), "an alias is"),
        ("redis_timeout_ms = 'soon'\n", "redis_timeout_ms"),
        ("\udcff", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("command", [("jobs",), ("cancel", "ev", "a1"), ("check",), ("up",)])
def test_a_mistake_in_the_settings_names_file_key_and_fix(
    run: Run, tmp_path: Path, text: str, words: str, command: tuple[str, ...]
) -> None:
    """Every command ends with the same one line and exit code 2."""
    path = tmp_path / "mine.toml"
    path.write_text(text, errors="surrogateescape")
    code, out, err = run("--config", str(path), *command)
    assert code == 2
    assert str(path) in one_line(err)
    assert words in err
    assert out == ""


def test_a_settings_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    """--config names a file that must exist, even an empty name."""
    for name in (str(tmp_path / "nosuch.toml"), str(tmp_path), ""):
        code, _, err = run("--config", name, "jobs")
        assert code == 2
        assert "no such file" in one_line(err)


def test_a_wrong_secret_file_is_a_settings_error(run: Run, tmp_path: Path) -> None:
    """`up` and `check` need the secrets, and name the one that is missing."""
    path = tmp_path / "worker.toml"
    secret = tmp_path / "secret"
    lines = GOOD.splitlines()[:-1]
    for text, words in (
        ("", f"accounts.ev.api_secret_file: {secret} cannot be read"),
        ("\n", f"accounts.ev.api_secret_file: {secret} is empty"),
        (f"{SECRET}\n{SECRET}\n", "holds more than one line"),
    ):
        path.write_text("\n".join([*lines, f'api_secret_file = "{secret}"']) + "\n")
        if text:
            secret.write_text(text)
        code, _, err = run("up")
        assert code == 2
        assert words in one_line(err)
        code, out, _ = run("check")
        assert code == 2
        assert words in out


def test_a_missing_secret_is_a_settings_error(run: Run, tmp_path: Path) -> None:
    """The line says how to give it."""
    path = tmp_path / "worker.toml"
    path.write_text("\n".join(GOOD.splitlines()[:-1]) + "\n")
    code, out, err = run("up")
    assert code == 2
    assert "accounts.ev.api_secret is missing; set it, api_secret_file, or WORKER_" in one_line(err)
    assert out == ""


def test_an_order_id_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    """What the exchange could not be sent is refused before Redis is asked."""
    (tmp_path / "worker.toml").write_text(GOOD + INDODAX)
    for arguments, words in (
        (("cancel", "ev", ""), "'' is not an order id"),
        (("cancel", "ev", "a", "b c\n"), "is not an order id"),
        (("cancel", "", "a"), "Redis"),  # some worker may have announced it
        (("cancel", "ix", "1", "--side", "buy"), "add --pair btc_idr"),
        (("cancel", "ix", "1", "--pair", "btc_idr"), "add --side buy"),
        (("cancel", "ix", "1", "--pair", "btc_idr", "--side", "BUY"), "is not a side"),
        (("cancel-all", "nosuch", "--yes"), "Redis"),
    ):
        code, out, err = run(*arguments)
        assert code == (1 if words == "Redis" else 2), err
        assert words in one_line(err)
        assert out == ""


def test_a_switch_that_could_not_be_kept_is_refused(run: Run, tmp_path: Path) -> None:
    """Before Redis is asked; the line says what to give instead."""
    (tmp_path / "worker.toml").write_text(GOOD + INDODAX)
    for arguments, words in (
        (("ev", "--order", "a", "--timeout-ms", "999"), "must be from 1000 to 86400000"),
        (("ev", "--order", "a", "--timeout-ms", "86400001"), "must be from 1000 to 86400000"),
        (("ev", "--order", "a", "--timeout-ms", "-5"), "give a time such as 500ms"),
        (("ev", "--order", "a", "--timeout", "2"), "2 has no unit: give 2s, 2ms or 2m"),
        (("ev", "--order", "a", "--timeout", "2s", "--timeout-ms", "9"), "give --timeout TIME"),
        (("ev", "--order", "a", "--timeout", "2d"), "must be from 1000 to 86400000"),
        (("ev", "--timeout-ms", "2000"), "give pairs, order ids, client order ids"),
        (("ev", "--order", "", "--timeout-ms", "2000"), "is not an order id"),
        (("ix", "--order", "7", "--timeout-ms", "2000"), "--pair btc_idr"),
        (("ix", "--pair", "btc idr", "--timeout-ms", "2000"), "is not a pair"),
    ):
        code, out, err = run("arm", *arguments)
        assert code == 2, err
        assert words in one_line(err)
        assert out == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "contains no order id"),
        (b"\n \n", "contains no order id"),
        (b"x" * 10_000_000, "too long for an order id"),
        (b"a\n" + b"x" * 10_000_000 + b"\n", "too long for an order id"),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"a\n-\n", "must be alone"),
    ],
)
def test_order_ids_from_standard_input_that_are_none(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, words: str
) -> None:
    """Nothing is queued unless every line can be an order id."""
    (tmp_path / "worker.toml").write_text(GOOD)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text), encoding="utf-8"))
    code, out, err = run("cancel", "ev", "-")
    assert code == 2
    assert words in one_line(err)
    assert len(err) < 500
    assert out == ""


@pytest.mark.parametrize(
    "command",
    [
        ("cancel", "ev", "a1"),
        ("cancel", "ev", "a1", "--wait", "1"),
        ("cancel-all", "ev", "--yes"),
        ("jobs", "--json"),
        ("show", "abc"),
        ("dead", "list"),
        ("dead", "show", "abc"),
        ("dead", "replay", "--all"),
        ("dead", "discard", "--all", "--yes"),
        ("status", "--json"),
        ("arm", "ev", "--order", "a1", "--timeout-ms", "2000"),
        ("beat", "abc"),
        ("beat", "abc", "--every", "1"),
        ("disarm", "abc"),
        ("switches",),
        ("switches", "--json"),
        ("up",),
    ],
)
def test_redis_away_is_exit_code_1_and_says_where(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The line names host and port, never the password."""
    (tmp_path / "worker.toml").write_text(GOOD)
    code, out, err = run(*command)
    assert code == 1
    port = os.environ["WORKER_REDIS_URL"].rpartition(":")[2].removesuffix("/0")
    assert f"at 127.0.0.1:{port}; start it or correct redis_url" in one_line(err)
    assert "port refused" in err
    assert_error(command, out, "port refused")


def test_why_redis_cannot_be_used_is_told_apart(
    run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused password, an unknown host and a refused port each have their own text."""
    for url, words in (
        (f"redis://:{SECRET}@{redis_url.partition('//')[2]}", "Redis refused the password"),
        ("redis://nosuch.invalid:6379/0", "unknown host at nosuch.invalid:6379"),
        ("redis://127.0.0.1:1/0", "port refused, no server listens at 127.0.0.1:1"),
    ):
        monkeypatch.setenv("WORKER_REDIS_URL", url)
        code, _, err = run("jobs")
        assert code == 1
        assert words in one_line(err)


def test_a_command_without_settings_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, after its own words; a variable alone is settings enough."""
    monkeypatch.delenv("WORKER_REDIS_URL")
    assert "no settings file was read: WORKER_CONFIG is not set" in run("up")[2]
    monkeypatch.setenv("WORKER_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "no settings file" not in run("jobs")[2]


def test_a_redis_url_that_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a settings error, and is not shown."""
    for url in (f"http://:{SECRET}@x/0", f"{SECRET}", f"redis://:{SECRET}@h:port/0"):
        monkeypatch.setenv("WORKER_REDIS_URL", url)
        code, _, err = run("jobs")
        assert code == 2
        assert "redis_url" in one_line(err)


def test_up_guides_who_has_set_up_nothing(run: Run, tmp_path: Path) -> None:
    """Without an account it prints a settings file to fill in, and that file is valid."""
    code, out, err = run("up")
    assert code == 2
    assert "no account is configured" in one_line(err)
    assert "up --simulator" in err
    (tmp_path / "worker.toml").write_text(out)
    code, out, _ = run("check", "--json")
    assert code in (1, 2)
    assert {"accounts.main"} <= {row["subject"] for row in json.loads(out)["findings"]}


def test_up_does_not_guess_between_two_redis(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--embedded cannot override an address that a file gives."""
    (tmp_path / "url").write_text("redis://127.0.0.1:1/0")
    (tmp_path / "worker.toml").write_text('redis_url_file = "url"\n' + GOOD)
    monkeypatch.delenv("WORKER_REDIS_URL")
    code, _, err = run("up", "--embedded")
    assert code == 2
    assert "exclude each other" in one_line(err)


def test_help_and_version_need_no_settings(run: Run, tmp_path: Path) -> None:
    """They work whatever the settings are, and name the exit codes."""
    (tmp_path / "worker.toml").write_text("broken")
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "cancel-worker")
    code, out, _ = run("--help")
    assert code == 0
    assert "0 done, 1 failed or not proven in time, 2 wrong usage" in " ".join(out.split())
    commands = "cancel cancel-all arm beat disarm switches jobs show status check simulator up"
    for command in commands.split():
        assert command in out
        assert run(command, "--help")[0] == 0
    for command in ("list", "show", "replay", "discard"):
        assert run("dead", command, "--help")[0] == 0


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """The first answer comes fast: what only some commands need is left out."""
    code = (
        "import sys; from worker.cli import main; main(['--help']); "
        "print([name for name in ('celery', 'rich', 'redis', 'requests', 'pydantic', "
        "'worker.simulator', 'worker.client.producer') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_the_module_is_the_command(tmp_path: Path) -> None:
    """`python -m worker` ends with the same codes."""
    environment = {"PATH": os.environ["PATH"], "WORKER_CONFIG": str(tmp_path / "nosuch")}
    done = subprocess.run(
        [sys.executable, "-m", "worker", "jobs"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no such file" in one_line(done.stderr)


def test_accounts_are_completed_from_the_settings(tmp_path: Path) -> None:
    """The shell offers the aliases, also of --config, and nothing for broken settings."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + INDODAX)

    def offered(line: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "_CANCEL_WORKER_COMPLETE": "complete_bash",
            "WORKER_REDIS_URL": f"redis://127.0.0.1:{own_port()}/0",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-m", "worker"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.stdout

    assert offered(f"cancel-worker --config {path} cancel i").split() == ["ix"]
    assert offered("cancel-worker cancel e").split() == []
    path.rename(tmp_path / "worker.toml")
    assert offered("cancel-worker cancel-all ").split() == ["ev", "ix"]
    assert offered("cancel-worker arm ").split() == ["ev", "ix"]
    assert offered("cancel-worker beat ").split() == []  # no Redis answers
    (tmp_path / "worker.toml").write_text("broken")
    assert offered("cancel-worker cancel ").split() == []


def test_an_unforeseen_error_shows_where_but_not_what(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text may hold anything; it is not shown."""

    def broken() -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("worker.cli.resources.open_listing", broken)
    code, _, err = run("jobs")
    assert code == 1
    assert "internal error: RuntimeError at" in one_line(err)


def test_an_interrupt_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was accepted continues, and a line states that."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("worker.cli.resources.open_listing", interrupted)
    code, _, err = run("jobs")
    assert code == 130
    assert "accepted jobs continue" in one_line(err)
    code, out, _ = run("jobs", "--json")
    assert (code, json.loads(out)["exit_code"]) == (130, 130)


def written_to(out: IO[bytes], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process whose output goes there."""
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_output_without_a_reader_ends_quietly(tmp_path: Path) -> None:
    """As behind `head`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as out:
        done = written_to(out, tmp_path, "up")
    assert done.returncode in (1, 2)
    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_several_mistakes_are_lines_of_one_json_error(run: Run, tmp_path: Path) -> None:
    """As on standard error, without its prefix."""
    (tmp_path / "worker.toml").write_text("redis_ur = 'x'\nsentri_dsn = 'x'\n")
    code, out, err = run("jobs", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"]) == (2, 2)
    assert told["error"].splitlines() == [
        line.removeprefix("cancel-worker: ") for line in err.splitlines()
    ]
    assert len(err.splitlines()) == 2


def test_no_summary_of_a_command_is_cut_at_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the list of commands; typer cuts what is longer."""
    monkeypatch.setenv("COLUMNS", "80")
    for group in ((), ("dead",), ("token",), ("notify",)):
        _, out, _ = run(*group, "--help")
        summaries = out.partition("Commands:")[2]
        assert summaries.count("\n") > 1
        assert "..." not in summaries, group


def test_closed_streams_are_no_error(tmp_path: Path) -> None:
    """What would be printed is dropped; the exit code is that of the command."""
    command = f"{sys.executable} -m worker {{}} >&- 2>&-; echo $?"
    for arguments, code in (("--help", "0"), ("nosuch", "2")):
        done = subprocess.run(
            ["/bin/sh", "-c", command.format(arguments)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == (f"{code}\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A full disk is not a success."""
    with Path("/dev/full").open("wb") as out:
        done = written_to(out, tmp_path, "--help")
    assert done.returncode == 1
    assert "No space left on device" in one_line(done.stderr)
