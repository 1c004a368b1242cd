"""Find and read the settings file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from worker.errors import SettingsError
from worker.model.text import shortened

CONFIG_VARIABLE = "WORKER_CONFIG"
DEFAULT_FILE = "worker.toml"


def config_path() -> Path | None:
    """Return the path of the settings file, or None without one.

    Raises:
        SettingsError: `WORKER_CONFIG` names a missing file, or `worker.toml` is a
            folder. Container runtimes create one when they mount a missing file.
    """
    named = next((os.environ[name] for name in _given(CONFIG_VARIABLE)), "")
    path = Path(named or DEFAULT_FILE)
    try:
        if path.is_file():
            return path
        folder = path.is_dir()
    except OSError as error:
        raise SettingsError(f"{shortened(str(path))}: cannot be read: {error.strerror}") from None
    but = ", but a folder" if folder else ""
    if named:
        raise SettingsError(
            f"{shortened(named)}: no such file{but}; {CONFIG_VARIABLE} must name a TOML file"
        )
    if folder:
        raise SettingsError(f"{path}: no such file{but}; put the settings file in its place")
    return None


def read_table(path: Path) -> dict[str, Any]:
    """Read a settings file; a byte order mark is skipped.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: The file is not UTF-8 text.
        TOMLDecodeError: The file is not TOML.
    """
    return tomllib.loads(path.read_bytes().decode("utf-8-sig"))


def _given(variable: str) -> list[str]:
    """Return the names under which a variable is set, in any case, the exact one first."""
    found = [name for name in os.environ if name.upper() == variable]
    return sorted(found, key=lambda name: name != variable)
