"""The settings file: where it is, and reading it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from worker.config.accounts import one_line
from worker.errors import SettingsError

CONFIG_VARIABLE = "WORKER_CONFIG"
DEFAULT_FILE = "worker.toml"


def config_path() -> Path | None:
    """Return the settings file in force, if any.

    Raises:
        SettingsError: `WORKER_CONFIG` names a file that is not there, or `worker.toml` is
            none, such as the folder that a container's mount of a missing file leaves.
    """
    named = next((os.environ[name] for name in _given(CONFIG_VARIABLE)), "")
    path = Path(named or DEFAULT_FILE)
    try:
        if path.is_file():
            return path
        folder = path.is_dir()
    except OSError as error:
        raise SettingsError(f"{one_line(str(path))}: cannot be read: {error.strerror}") from None
    but = ", but a folder" if folder else ""
    if named:
        raise SettingsError(
            f"{one_line(named)}: no such file{but}; {CONFIG_VARIABLE} must name a TOML file"
        )
    if folder:
        raise SettingsError(f"{path}: no such file{but}; put the settings file in its place")
    return None


def read_table(path: Path) -> dict[str, Any]:
    """Read a settings file; a byte order mark, as some editors write, is no part of it.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8 text.
        TOMLDecodeError: It is not TOML.
    """
    return tomllib.loads(path.read_bytes().decode("utf-8-sig"))


def _given(variable: str) -> list[str]:
    """Return the names by which a variable is set, in whatever case, the exact one first."""
    found = [name for name in os.environ if name.upper() == variable]
    return sorted(found, key=lambda name: name != variable)
