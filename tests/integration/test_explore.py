"""Every small history of the real scripts keeps what is promised; planted bugs are found."""

from __future__ import annotations

import pytest

from tests.explore.jobs import JobsModel
from tests.explore.search import search
from tests.explore.switches import SwitchesModel

LONGEST_S = 500
"""Each takes seconds on a quiet machine; how fast it is must decide nothing."""
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("serial", [False, True])
def test_every_small_history_of_jobs_keeps_them(redis_url: str, *, serial: bool) -> None:
    """No accepted job is lost, doubled or ended without a proof, whatever call goes wrong."""
    model = JobsModel(redis_url, steps=2, asks=2, ticks=1, faults=1, serial=serial)
    found = search(model, longest_s=LONGEST_S)
    assert not found.broken, found.report()
    assert found.complete
    assert found.states > 2_000


def test_every_small_history_of_a_switch_keeps_it(redis_url: str) -> None:
    """A renewed switch stays armed, a silent one trips, a disarmed one stays, despite faults."""
    model = SwitchesModel(redis_url, steps=6, asks=2, ticks=1, faults=0)
    found = search(model, longest_s=LONGEST_S)
    assert not found.broken, found.report()
    assert found.complete
    assert found.states > 1_000


def test_a_job_ended_without_a_proof_is_found(redis_url: str) -> None:
    """The search sees an unknown outcome that is recorded as done."""
    planted = ("if verb == 'done' then\n      finish", "if verb ~= 'wait' then\n      finish")
    model = JobsModel(redis_url, steps=3, asks=1, ticks=0, faults=1, planted=planted)
    found = search(model, longest_s=LONGEST_S)
    assert "is done, orders 1 are open" in found.broken, found.report()
    assert len(found.schedule) == 4


@pytest.mark.parametrize(
    ("planted", "broken"),
    [
        pytest.param(
            ("if NOW >= valid then", "if false then"),
            "the deadline is earlier than was answered",
            id="a call that was given up",
        ),
        pytest.param(
            ("switch.epoch ~= ARGV[i + 1]", "false"),
            "leave to set a timer after a disarm",
            id="a plan for an older epoch",
        ),
    ],
)
def test_a_planted_bug_of_switches_is_found(
    redis_url: str, planted: tuple[str, str], broken: str
) -> None:
    """The search sees a script that takes what it must refuse."""
    model = SwitchesModel(
        redis_url, steps=6, asks=3, ticks=2, faults=2, planted=planted, refused=True
    )
    found = search(model, longest_s=LONGEST_S)
    assert broken in found.broken, found.report()
