"""Programs of Debian's packages, unpacked into a cache: no root, nothing installed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cancel-worker" / "unpacked"
)
WAIT_S = 90


def unpacked(package: str, *, beside: str = "") -> Path:
    """Return the folder with a package, one `beside` it, and what else is not installed.

    Skips the test, saying why, where there is no Debian or no network.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip(f"needs Debian's package {package}, and apt-get to download it")
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / package
    # Several test processes may want it at once.
    with (CACHE / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _download([package, *beside.split()], folder)
    return folder


def library_path(folder: Path) -> str:
    """Return LD_LIBRARY_PATH for the programs in an unpacked folder."""
    found = {str(path.parent) for path in folder.rglob("*.so*")}
    return ":".join(sorted(found))


def _download(packages: list[str], folder: Path) -> None:
    plan = _run("apt-get", "install", "--simulate", "--no-install-recommends", *packages)
    names = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    _run("apt-get", "download", *sorted({*names, *packages}), folder=partial)
    for archive in sorted(partial.glob("*.deb")):
        _run("dpkg", "-x", str(archive), str(partial))
        archive.unlink()
    partial.rename(folder)


def _run(*command: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=WAIT_S
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"cannot download from Debian: {str(said).strip()[-200:]}")
    return done.stdout
