"""The command line, run in this process as a shell would."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.world import SECRETS
from worker.cli import main

Told = tuple[int, str, str]
"""Exit code, output, errors."""
Run = Callable[..., Told]


def run_main(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    """Run a command; whatever it prints, it shows no secret."""
    code = main(arguments)
    told = capsys.readouterr()
    assert not [secret for secret in SECRETS if secret in told.out + told.err]
    return code, told.out, told.err
