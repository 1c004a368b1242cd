"""Settings files and variables for tests of the errors about wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.config.settings import PREFIX, Settings, load_settings
from worker.errors import SettingsError

SECRET = "Zk9-planted+secret.0123456789=="
"""Looks like one; no error may show it."""
ACCOUNT = '[accounts.ix]\nexchange = "indodax"\n'
KEYS = f'api_key = "{SECRET}k"\napi_secret = "{SECRET}"\n'
LINE_MAX = 500


class Place:
    """A folder and an environment to read settings from, with nothing else in them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(folder)

    def toml(self, text: str | bytes, name: str = "worker.toml") -> Path:
        """Write a file; `worker.toml` is the one that is read by default."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def env(self, **variables: str) -> None:
        """Set variables."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def load(self) -> Settings:
        """Read the settings and every secret, as a worker does."""
        settings = load_settings()
        for alias in settings.accounts:
            settings.access(alias)
        return settings

    def error(self) -> str:
        """Return the error about wrong settings: one line without the planted secret."""
        with pytest.raises(SettingsError) as caught:
            self.load()
        text = str(caught.value)
        assert text == " ".join(text.split()), "not one line"
        assert text.isprintable()
        assert len(text) < LINE_MAX
        assert SECRET not in text
        assert SECRET[:12] not in text
        return text
