"""Chromium without a window: what a page shows once its scripts have run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.debian import library_path, unpacked

PACKAGE = "chromium-headless-shell"
SCRIPTS_MS = 5_000
"""Virtual time: the browser skips what it would wait."""


class Browser:
    """One headless Chromium, started again for each page."""

    def __init__(self, profile: Path) -> None:
        program = shutil.which("chromium") or shutil.which(PACKAGE)
        self._environment = dict(os.environ)
        if program is None:
            # What lies beside the program must come along, installed or not.
            folder = unpacked(PACKAGE, beside="chromium-common")
            program = str(folder / "usr/lib/chromium" / PACKAGE)
            self._environment["LD_LIBRARY_PATH"] = library_path(folder)
        self._command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={SCRIPTS_MS}",
        ]

    def dom(self, url: str) -> str:
        """Return a page's document once its scripts have run."""
        done = subprocess.run(
            [*self._command, "--dump-dom", url],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr[-2_000:]
        return done.stdout
