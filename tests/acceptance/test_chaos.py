"""The promises under faults, judged from recorded histories; the checker finds planted bugs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.checks import check, switches
from tests.chaos.checks.switches import Tally
from tests.chaos.deployment import Deployment, Standalone
from tests.chaos.directed import RUNS, history_of, played
from tests.chaos.planted import Bug
from tests.chaos.recovery import FAILOVERS
from tests.chaos.report import shown, table, verdict
from tests.chaos.run import run, short_plan
from tests.chaos.stage import Stage
from tests.chaos.watched import Watched

RUN_MS = 20_000


@pytest.mark.timeout(180)
@pytest.mark.parametrize("deployment", [Standalone, Watched])
def test_no_promise_is_broken_under_faults(
    tmp_path: Path, deployment: Callable[[Path], Deployment]
) -> None:
    """A short run of `python -m tests.chaos`: processes killed, networks cut, disks filled."""
    finished = run(tmp_path, short_plan(RUN_MS), seed=3, deployment=deployment)
    violations = verdict(finished, timed=False)
    print(*table(finished, violations), sep="\n")  # noqa: T201
    assert not violations, "\n".join(shown(violations))
    accepted = [call for call in finished.history.cancels if call.tickets]
    assert len(accepted) > 50
    kinds = {fault.kind for fault in finished.history.faults}
    assert len({kind.partition(".")[0] for kind in kinds}) >= 4
    assert deployment is Standalone or kinds & set(FAILOVERS)
    tally = Tally()
    switches.check(finished.history, tally)
    assert tally.ended > 5
    assert any(call.call == "beat" and call.said == "ok" for call in finished.history.switches)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bug", Bug)
def test_the_checker_finds_a_planted_bug(tmp_path: Path, bug: Bug) -> None:
    """Each planted bug is reported as the promise that it breaks."""
    violations = check(history_of(tmp_path, bug, planted=True))
    assert RUNS[bug][1] in {violation.promise for violation in violations}, shown(violations)


@pytest.mark.timeout(300)
def test_runs_without_a_planted_bug_break_no_promise(tmp_path: Path) -> None:
    """The same runs without the bugs are clean."""
    with Stage(tmp_path, seed=1, workers=1, beat=False) as stage:
        violations = check(played(stage, *Bug))
    assert not violations, "\n".join(shown(violations))
