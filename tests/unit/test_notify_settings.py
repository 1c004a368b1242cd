"""Settings of notifications: who gets what, and addresses as secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.config.notify import parts_of
from worker.config.secret_files import exposed
from worker.config.settings import Settings, load_settings
from worker.errors import SettingsError
from worker.factory import secrets_of
from worker.notify.targets import digest, targets_of
from worker.telemetry.logs import Mask

TELEGRAM = "tgram://123456789:AAbbCCddEE/-1001234"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file to write."""
    path = tmp_path / "worker.toml"
    monkeypatch.setenv("WORKER_CONFIG", str(path))
    return path


def read(place: Path, text: str) -> Settings:
    """Return the settings of a file with this text."""
    place.write_text(text)
    return load_settings()


def test_routes_choose_by_event_and_account(place: Path) -> None:
    """An event without an account goes to every route that wants the event."""
    settings = read(
        place,
        f"""
        [notify]
        urls = ["{TELEGRAM}"]
        accounts = ["bn"]
        [notify.routes.desk]
        urls = ["{SLACK}", "{TELEGRAM}"]
        events = ["dead letter", "no worker"]
        """,
    )
    telegram, slack = targets_of(settings.notify)
    assert telegram.id.startswith("tgram-")
    assert telegram.wants("switch tripped", "bn")
    assert not telegram.wants("switch tripped", "ev")
    assert telegram.wants("dead letter", "ev")
    assert telegram.wants("beat lost", "")
    assert slack.wants("dead letter", "ev")
    assert not slack.wants("beat lost", "")


def test_addresses_come_from_a_file_or_a_variable(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file has one a line; a variable separates them by spaces."""
    file = tmp_path / "urls"
    file.write_text(f"# desk\n\n  {TELEGRAM}\n{SLACK}\n")
    file.chmod(0o640)
    settings = read(place, f'[notify]\nurls_file = "{file}"\n')
    assert [each.address for each in targets_of(settings.notify)] == [TELEGRAM, SLACK]
    assert file in exposed(settings)
    monkeypatch.setenv("WORKER_NOTIFY__URLS", f"{SLACK} {TELEGRAM}")
    monkeypatch.setenv("WORKER_NOTIFY__EVENTS", "dead letter, no worker")
    settings = read(place, "")
    assert [each.address for each in targets_of(settings.notify)] == [SLACK, TELEGRAM]
    assert settings.notify.events == ("dead letter", "no worker")


def test_without_addresses_nothing_is_notified(place: Path) -> None:
    """It is off by default."""
    settings = read(place, "")
    assert not settings.notify.configured
    assert targets_of(settings.notify) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('urls = ["tgram:/123456789:AAbbCCddEE"]', "notify.urls: give addresses of the form"),
        ('events = ["deadletter"]', "unknown event; known: attempt crashed"),
        ('urls_file = "/nowhere/urls"', "notify.urls_file: /nowhere/urls: cannot be read"),
        (f'urls = ["{SLACK}"]\nurls_file = "urls"', "notify: give urls or urls_file, not both"),
        ("repeat_ms = 10", "notify.repeat_ms: Input should be greater"),
        ("[notify.routes.desk]\nurl = 1", "notify.routes.desk.url: unknown key; known: urls"),
        ("[notify.routes.D]", "notify.routes.D: "),
    ],
)
def test_mistakes_are_named_without_the_address(place: Path, text: str, told: str) -> None:
    """One line with the key and the fix."""
    with pytest.raises(SettingsError) as caught:
        targets_of(read(place, f"[notify]\n{text}\n").notify)
    assert told in str(caught.value)
    assert "AAbbCCddEE" not in str(caught.value)


def test_a_line_that_is_no_address_is_named_by_its_number(place: Path, tmp_path: Path) -> None:
    """Without its text, which is a secret."""
    file = tmp_path / "urls"
    file.write_text(f"{TELEGRAM}\n123456789:AAbbCCddEE\n")
    settings = read(place, f'[notify]\nurls_file = "{file}"\n')
    with pytest.raises(SettingsError, match="urls: line 2: give addresses") as caught:
        targets_of(settings.notify)
    assert "AAbbCCddEE" not in str(caught.value)


def test_addresses_and_their_parts_are_masked(place: Path) -> None:
    """A service repeats parts of an address in its errors."""
    settings = read(place, f'[notify]\nurls = ["{TELEGRAM}", "{SLACK}"]\n')
    mask = Mask(secrets_of(settings))
    for text in (
        TELEGRAM,
        "https://api.telegram.org/bot123456789:AAbbCCddEE/sendMessage",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    ):
        shown = mask(text)
        assert "AAbbCCddEE" not in shown
        assert "T1JJ3T3L2" not in shown
        assert "TIiajk" not in shown
    assert mask("api.telegram.org said: notify desk failed") == (
        "api.telegram.org said: notify desk failed"
    )


def test_hosts_and_plain_words_are_not_secrets() -> None:
    """Masking them would blank ordinary log lines."""
    parts = {*parts_of("json://user:Pass1@example.com:80/notify/H00k?format=markdown&to=Tok3n")}
    assert {"user", "Pass1", "H00k", "Tok3n"} <= parts
    assert not {"example.com", "example.com:80", "notify", "markdown", "format"} & parts


def test_a_digest_has_a_part_of_each_message() -> None:
    """Also of very long ones."""
    title, body = digest([(f"title {number}", "x" * 2_000) for number in range(3)])
    assert title == "3 notices: title 0, …"
    assert all(f"title {number}" in body for number in range(3))
    assert len(body) < 1_600
