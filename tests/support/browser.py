"""Chromium without a window: what a page shows once its scripts have run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.debian import library_path, unpacked

PACKAGE = "chromium-headless-shell"
SCRIPTS_MS = 5_000
"""Virtual time: the browser skips what it would wait."""


class Browser:
    """One headless Chromium, started anew for each page."""

    def __init__(self, profile: Path) -> None:
        folder = unpacked(PACKAGE)
        self._command = [
            str(folder / "usr/lib/chromium" / PACKAGE),
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={SCRIPTS_MS}",
        ]
        self._environment = {**os.environ, "LD_LIBRARY_PATH": library_path(folder)}

    def dom(self, url: str) -> str:
        """Return a page's document as it stands once its scripts have run."""
        done = subprocess.run(
            [*self._command, "--dump-dom", url],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout
