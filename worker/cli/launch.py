"""How Celery is started as a child process."""

from __future__ import annotations

import sys

LAUNCH = "import sys, worker.errors; from celery.__main__ import main; sys.exit(main())"


def celery_command() -> list[str]:
    """Return the command of Celery with this package's application.

    Nothing is imported from the current folder, where a strategy's own `worker.py` may be.
    Celery searches that folder first for its application: the package is imported before.
    """
    return [sys.executable, "-P", "-c", LAUNCH, "-q", "-A", "worker.celery_app"]
