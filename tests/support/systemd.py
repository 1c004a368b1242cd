"""ops/systemd as systemd reads it: templates, credentials and variables."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
from pathlib import Path

from tests.support.compose_services import TOP

FOLDER = TOP / "ops" / "systemd"
ETC = "/etc/cancel-worker/"


def template(unit: str) -> Path:
    """Return the file that a unit is made of."""
    return FOLDER / re.sub(r"@[\w-]+\.", "@.", unit)


def read(unit: str) -> configparser.RawConfigParser:
    """Return a unit; of a key that is there twice, the last."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(template(unit))
    return parser


def command(unit: str, instance: str, folder: Path) -> list[str]:
    """Return what a service of this instance runs, its programs taken from another folder."""
    line = read(unit)["Service"]["ExecStart"].replace("/opt/cancel-worker/bin", str(folder))
    words = shlex.split(line.replace("%i", instance))
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def environment(unit: str, etc: Path, credentials: Path) -> dict[str, str]:
    """Return a service's variables, its credentials copied from `etc` to where they point."""
    instance = unit.partition("@")[2].partition(".")[0]
    credentials.mkdir()
    lines = template(unit).read_text().replace("%i", instance).splitlines()
    for line in lines:
        key, _, value = line.partition("=")
        name, _, source = value.partition(":")
        if key == "SetCredential":  # a default, for what there is no file of
            if not (credentials / name).exists():
                (credentials / name).write_text(source)
        elif key == "LoadCredential":
            assert source.startswith(ETC)
            file, default = etc / source.removeprefix(ETC), f"SetCredential={name}:"
            if file.exists() or not any(other.startswith(default) for other in lines):
                shutil.copy(file, credentials / name)
    (given,) = [line.partition("=")[2] for line in lines if line.startswith("Environment=")]
    return dict(word.replace("%d", str(credentials)).split("=", 1) for word in shlex.split(given))
