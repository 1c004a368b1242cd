"""Files with secrets that others than their owner may open are warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import Place
from worker.config.secret_files import exposed, warn_of_exposed
from worker.config.settings import load_settings

ACCOUNT = '[accounts.ev]\nexchange = "everstrike"\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder with a secret in a file."""
    made = Place(tmp_path, monkeypatch)
    made.toml("secret", "secret.txt").chmod(0o600)
    return made


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777])
@pytest.mark.parametrize("name", ["api_key", "api_secret", "memo"])
def test_any_right_of_others_counts(place: Place, mode: int, name: str) -> None:
    """To read a secret, or to write another host beside it."""
    place.toml(f'{ACCOUNT}{name}_file = "secret.txt"\n').chmod(0o644)
    settings = load_settings()
    assert exposed(settings) == []
    Path("secret.txt").chmod(mode)
    assert exposed(settings) == [Path("secret.txt")]


@pytest.mark.parametrize(
    "text",
    [
        f'{ACCOUNT}api_key = "k"\n',
        f'{ACCOUNT}api_secret = "s"\n',
        f'{ACCOUNT}memo = "m"\n',
        'redis_url = "redis://:p@127.0.0.1:1/0"\n',
        'sentry_dsn = "https://k@sentry.invalid/1"\n',
    ],
)
def test_settings_with_a_secret_in_them_count(place: Place, text: str) -> None:
    """Whichever it is."""
    path = place.toml(text)
    path.chmod(0o600)
    assert exposed(load_settings()) == []
    path.chmod(0o640)
    assert exposed(load_settings()) == [Path(path.name)]


@pytest.mark.parametrize("name", ["redis_url", "sentry_dsn"])
def test_files_of_the_top_level_count(place: Place, name: str) -> None:
    """As those of accounts do; one that is missing is reported elsewhere."""
    place.toml(f'{name}_file = "secret.txt"\n').chmod(0o644)
    settings = load_settings()
    Path("secret.txt").chmod(0o604)
    assert exposed(settings) == [Path("secret.txt")]
    Path("secret.txt").unlink()
    assert exposed(settings) == []


def test_the_warning_names_the_file_and_the_fix(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """One line a file, with the command that fixes it."""
    place.toml(f'{ACCOUNT}api_key = "k-of-mine"\n').chmod(0o644)
    warn_of_exposed(load_settings())
    assert "worker.toml" in caplog.text
    assert "chmod 600 worker.toml" in caplog.text
    assert "k-of-mine" not in caplog.text
