"""The fuzz targets in short, and what long runs of them have found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import run, targets
from tests.fuzz.target import Target
from tests.support.config_files import Place
from tests.support.world import World
from worker.model.jobs import Job

SHORT = {
    **dict.fromkeys(targets.NAMES, 3_000),
    "settings": 300,
    "scripts": 600,
    "queue": 250,
}


@pytest.mark.parametrize("name", targets.NAMES)
def test_hostile_input_is_handled(name: str) -> None:
    """Each target holds for its examples and some thousand changes of them."""
    with targets.opened(name) as target:
        assert run.fuzz(target, runs=SHORT[name], seed=7).over


def picky(data: bytes) -> None:
    """Fail as soon as a nonce shows, so that the fuzzer has something to find."""
    if b"nonce" in data:
        raise AssertionError("found")


def test_a_failure_is_found_and_kept(tmp_path: Path) -> None:
    """What breaks a target ends the run, with the input that did it; again with the same seed."""
    target = Target(picky, [b'{"a": 1}'], [b"nonce"])
    kept = []
    for _ in range(2):
        with pytest.raises(run.Found) as caught:
            run.fuzz(target, runs=100_000, seed=1)
        kept.append(caught.value.save(tmp_path).read_bytes())
    assert kept[0] == kept[1]
    assert b"nonce" in kept[0]


def test_the_command_says_how_much_it_did(tmp_path: Path) -> None:
    """Executions and their rate are printed; the exit code says that all went well."""
    command = [sys.executable, "-m", "tests.fuzz", "jobs", "--runs", "200", "--unguided"]
    done = subprocess.run(
        [*command, "--saved", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "200 executions" in done.stdout
    assert "/s" in done.stdout


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "1", "kind": "cancel"},
        {"id": "1", "kind": "later", "state": "pending"},
        {"id": "1", "kind": "cancel", "state": "pending", "due_ms": "inf"},
        {"id": "1", "kind": "cancel", "state": "pending", "history": "[" * 100_000},
        {"id": "1", "kind": "cancel", "state": "pending", "attempts": "9" * 5_000},
    ],
)
def test_a_record_that_is_no_job_can_be_shown(fields: dict[str, str]) -> None:
    """Found by `jobs`: KeyError, OverflowError and RecursionError came out."""
    job = Job.read(fields)
    assert job.describe()["id"] == fields.get("id", "")
    assert job.foreign is ("kind" not in fields or fields["kind"] == "later")


def test_half_a_surrogate_pair_is_kept_as_a_question_mark(world: World) -> None:
    """Found by `scripts`: JSON may hold one, which the Redis client would not send."""
    ledger = world.ledger()
    letter = ledger.get(ledger.bury(reason="no \ud800 account", raw='{"account": "\udfff"}'))
    assert letter is not None
    assert (letter.detail, letter.raw) == ("no ? account", '{"account": "?"}')


SECRET = "Zk9-planted+secret.0123456789"


@pytest.mark.parametrize(
    ("toml", "shown"),
    [
        (f'"{SECRET}" = 1', "***: unknown key"),
        (f'[accounts.ev]\nexchange = "everstrike"\n"{SECRET}" = 1', "accounts.ev.***: unknown key"),
        (
            f'[accounts.ev]\nexchange = "everstrike"\napi_key_file = "{SECRET}"',
            "api_key_file: *** cannot be read",
        ),
        (
            f'[accounts.ev]\nexchange = "everstrike"\napi_key_file = "AB/{SECRET}"',
            "api_key_file: *** cannot be read",
        ),
        ('[accounts.ev]\nexchange = "everstrike"\napi_key_file = "a\\u0000"', "is no path"),
        (
            f'[accounts.ev]\nexchange = "everstrike"\napi_key_file = "{"x " * 3_000}"',
            "cannot be read",
        ),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, shown: str
) -> None:
    """Found by `settings`: a secret pasted as a key, or as the name of a file, was shown."""
    place = Place(tmp_path, monkeypatch)
    place.toml(toml)
    text = place.error()
    assert shown in text
    assert SECRET not in text


def test_a_file_that_is_missed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that could lead somewhere is shown, however much like a secret its name is."""
    place = Place(tmp_path, monkeypatch)
    name = tmp_path / "key-0123456789abcdef0123"
    place.toml(f"[accounts.ev]\nexchange = 'everstrike'\napi_key_file = '{name}'")
    assert str(name) in place.error()
