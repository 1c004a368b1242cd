"""Variables of other programs, misspelled settings, and files as editors leave them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.config_files import ACCOUNT, KEYS, SECRET, Place
from worker.config import secret_files, settings
from worker.config.environment import edits, nearest
from worker.config.settings import load_settings
from worker.errors import SettingsError

FOREIGN = {
    "WORKER_CLASS": "uvicorn.workers.UvicornWorker",
    "WORKER_CONNECTIONS": "1000",
    "WORKER_NAME": "/web/worker",
    "WORKER_ENV_PATH": "/usr/bin",
    "WORKER_TIMEOUT": "30",
    "worker_processes": "4",
    "WORKER_REDIS_PORT": "tcp://10.0.0.2:6379",
    "WORKER_REDIS_PORT_6379_TCP": "tcp://10.0.0.2:6379",
    "WORKER_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
    "WORKER_REDIS_SERVICE_HOST": "10.0.0.2",
    "WORKER_REDIS_SERVICE_PORT": "6379",
    "WORKER_METRICS_PORT": "tcp://10.0.0.3:9464",
    "WORKER_METRICS_SERVICE_HOST": "10.0.0.3",
    "WORKER_JOB_PORT": "udp://10.0.0.4:1",
}
"""What gunicorn, Docker's links and Kubernetes set, where a service is called so."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(settings, "_warned", set())
    return Place(tmp_path, monkeypatch)


def test_foreign_variables_are_ignored_with_one_warning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """It names them, shows no value, and comes once a process."""
    place.toml(ACCOUNT + KEYS)
    place.env(**{name: value + SECRET for name, value in FOREIGN.items()})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert set(place.load().accounts) == {"ix"}
        (message,) = caplog.messages
        assert all(name in message for name in FOREIGN)
        assert SECRET not in message
        place.env(WORKER_DIR="/srv")
        place.load()
    assert caplog.messages[1:] == ["ignored variables that are not settings: WORKER_DIR"]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("WORKER_REDIS_ULR", "WORKER_REDIS_URL"),
        ("WORKER_REDISURL", "WORKER_REDIS_URL"),
        ("WORKER_REDIS", "WORKER_REDIS_URL"),
        ("worker_redis_uri", "WORKER_REDIS_URL"),
        ("WORKER_ACCOUNT__IX__API_KEY", "WORKER_ACCOUNTS__IX__API_KEY"),
        ("WORKER_METRICS_PORT", "WORKER_METRICS__PORT"),
        ("WORKER_METRIC__PORT", "WORKER_METRICS__PORT"),
        ("WORKER_JOBS_LEASE_MS", "WORKER_JOBS__LEASE_MS"),
        ("WORKER_JOB", "WORKER_JOBS"),
        ("WORKER_SENTRY", "WORKER_SENTRY_DSN"),
        ("WORKER_KEYPREFIX", "WORKER_KEY_PREFIX"),
        ("WORKER_CONFIGS", "WORKER_CONFIG"),
        ("WORKER_CONF", "WORKER_CONFIG"),
    ],
)
def test_what_may_be_a_misspelled_setting_stays_an_error(
    place: Place, variable: str, meant: str
) -> None:
    """With the setting that was meant."""
    place.env(**{variable: SECRET})
    text = place.error()
    assert text.startswith(f"environment: {variable} is not a setting; did you mean {meant}? ")


@pytest.mark.parametrize(
    ("toml", "variables", "key", "meant"),
    [
        ("[jobs]\nlease_mss = 1", {}, "jobs.lease_mss", "lease_ms"),
        ("redis_ulr = 1", {}, "redis_ulr", "redis_url"),
        (
            "",
            {"WORKER_ACCOUNTS__IX__API_KYE": "x", "WORKER_ACCOUNTS__IX__EXCHANGE": "indodax"},
            "accounts.ix.api_kye",
            "api_key",
        ),
    ],
)
def test_unknown_keys_name_the_one_that_was_meant(
    place: Place, toml: str, variables: dict[str, str], key: str, meant: str
) -> None:
    """At each level, in the file and in the environment."""
    place.toml(toml)
    place.env(**variables)
    text = place.error()
    assert f"{key}: unknown key; known: " in text
    assert text.endswith(f"; did you mean {meant}?")


def test_one_setting_with_two_values_is_refused(place: Place) -> None:
    """Variables that differ in case are one; which is read last is unknown."""
    place.env(WORKER_REDIS_TIMEOUT_MS="100", worker_redis_timeout_ms="100")
    assert place.load().redis_timeout_ms == 100
    place.env(worker_redis_timeout_ms="200")
    text = place.error()
    assert "WORKER_REDIS_TIMEOUT_MS and worker_redis_timeout_ms" in text


def test_the_name_of_the_file_is_read_in_any_case(place: Place) -> None:
    """As that of any other setting."""
    path = place.toml("redis_timeout_ms = 123", "other.toml")
    place.env(worker_config=str(path))
    assert place.load().redis_timeout_ms == 123


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("\ufeffredis_timeout_ms = 77\n".encode(), True),
        (b"redis_timeout_ms = 77\r\nkey_prefix = 'a:'\r\n", True),
        ("\ufeff\r\nredis_timeout_ms = 77".encode(), True),
        (b"redis_timeout_ms = 77\n\x1a", False),
        ("redis_timeout_ms = 77".encode("utf-16"), False),
        ("redis_timeout_ms = 77 # é".encode("latin-1"), False),
        ("redis_timeout_ms = 77\n\ufeffkey_prefix = 'a:'".encode(), False),
        (b"redis_timeout_ms = 77\nredis_timeout_ms = 78", False),
        (b"[jobs]\nlease_ms = 9000\n[jobs]\nlease_ms = 9000", False),
    ],
)
def test_files_as_editors_leave_them(place: Place, content: bytes, *, read: bool) -> None:
    """A byte order mark and CR LF are read; what is no TOML is named, in one line."""
    path = place.toml(content)
    path.chmod(0o644)
    if read:
        assert place.load().redis_timeout_ms == 77
        assert secret_files.exposed(place.load()) == []
    else:
        assert place.error().startswith("worker.toml: not ")


def test_a_mark_does_not_hide_that_a_file_holds_secrets(place: Place) -> None:
    """Its mode is looked at as that of any other."""
    path = place.toml(f"\ufeff{ACCOUNT}{KEYS}".encode())
    path.chmod(0o644)
    assert secret_files.exposed(place.load()) == [Path(path.name)]
    path = place.toml(f'redis_url = "redis://:a[b#{SECRET}@h/0"')
    path.chmod(0o644)
    assert secret_files.exposed(place.load()) == [Path(path.name)]


def test_a_folder_in_place_of_the_file_is_named(place: Place) -> None:
    """As a container's mount of a missing file leaves one."""
    (place.folder / "worker.toml").mkdir()
    assert "worker.toml: no such file, but a folder" in place.error()
    place.env(WORKER_CONFIG=str(place.folder))
    text = place.error()
    assert "no such file, but a folder" in text
    assert "WORKER_CONFIG must name a TOML file" in text


def test_a_path_that_cannot_be_looked_at_is_named(place: Place) -> None:
    """The system refuses to look for it."""
    place.env(WORKER_CONFIG="/" + "x" * 5_000)
    with pytest.raises(SettingsError, match=r"cannot be read: File name too long"):
        load_settings()


@pytest.mark.parametrize("variable", ["WORKER_REDIS_TIMEOUT_MS", "WORKER_METRICS__PORT"])
def test_an_empty_number_is_named(place: Place, variable: str) -> None:
    """An empty variable is a value like another, and no number."""
    place.env(**{variable: ""})
    assert place.error().startswith(f"environment: {variable}: ")


@pytest.mark.parametrize("variable", ["WORKER_ACCOUNTS__IX__API_KEY", "WORKER_KEY_PREFIX"])
def test_bytes_that_are_no_text_are_one_line(place: Place, variable: str) -> None:
    """As the environment of another character set holds them."""
    place.toml(ACCOUNT + 'api_secret = "s"\n')
    place.monkeypatch.setenv(variable, f"{SECRET}\udcff")
    assert place.error().startswith(f"environment: {variable}: ")


@pytest.mark.parametrize(
    "value", ["a.example,b.example", " a.example , b.example,", '["a.example", "b.example"]']
)
def test_names_of_the_page_may_come_from_a_variable(place: Place, value: str) -> None:
    """With commas between them, or as JSON."""
    place.env(WORKER_METRICS__NAMES=value)
    assert place.load().metrics.names == ("a.example", "b.example")
    place.toml('[metrics]\nnames = ["c.example"]')
    place.monkeypatch.delenv("WORKER_METRICS__NAMES")
    assert place.load().metrics.names == ("c.example",)


def test_edits_are_counted() -> None:
    """Each character that is inserted, left out or replaced is one."""
    assert edits("", "") == 0
    assert edits("abc", "") == edits("", "abc") == 3
    assert edits("lease", "leases") == edits("leases", "lease") == 1
    assert edits("url", "ulr") == 2
    assert nearest("jobz", ["jobs", "http"]) == "jobs"
    assert nearest("abcdef", ["jobs", "http"]) is None
