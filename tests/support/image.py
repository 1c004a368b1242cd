"""ops/Dockerfile without Docker: its steps run in a folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
FILE = TOP / "ops" / "Dockerfile"
Step = tuple[str, str]


def steps() -> list[Step]:
    """Return the instructions of the Dockerfile, each with its arguments."""
    text = re.sub(r"\\\n\s*", "", FILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> list[tuple[str, ...]]:
    """Return sources and target of each COPY from the repository."""
    return [
        tuple(rest.split()) for word, rest in steps() if word == "COPY" and "--from" not in rest
    ]


def entry() -> list[str]:
    """Return the command that the image starts."""
    (command,) = [rest for word, rest in steps() if word == "CMD"]
    found: list[str] = json.loads(command)
    return found


def build(folder: Path) -> Path:
    """Run the steps of the first stage; return the folder that becomes /app."""
    source = folder / "src"
    for *sources, target in copied():
        for name in sources:
            into = source / target / (Path(name).name if target.endswith("/") else "")
            into.parent.mkdir(parents=True, exist_ok=True)
            if (TOP / name).is_dir():
                shutil.copytree(TOP / name, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(TOP / name, into)
    for word, rest in steps():
        if word == "RUN":
            _run(rest, folder, source)
    return folder / "app"


def _run(command: str, folder: Path, source: Path) -> None:
    here = re.sub(r"(?<!\S)/(app|build|wheel)\b", rf"{shlex.quote(str(folder))}/\1", command)
    # The machine's cache spares the downloads, and no byte code is needed.
    here = here.replace(" --no-cache", "")
    environment = {**os.environ, "UV_PYTHON": sys.executable, "UV_LINK_MODE": "hardlink"}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        ["/bin/sh", "-c", here],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"RUN {command}\n{done.stderr[-2_000:]}"
