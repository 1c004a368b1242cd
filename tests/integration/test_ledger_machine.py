"""The ledger against a model of it, over random histories."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.ledger_machine import LedgerMachine

EXAMPLES = 60
STEPS = 40


def test_ledger_keeps_to_its_model(redis_url: str, rounds: int) -> None:
    """No job is lost, held twice or left waiting, whatever happens in whatever order."""

    class Machine(LedgerMachine):
        url = redis_url

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES * rounds // 3,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=rounds == 3,
            suppress_health_check=list(HealthCheck),
        ),
    )
