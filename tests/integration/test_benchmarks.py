"""The benchmarks run: our worker beside one floor, with few jobs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.benchmarks import plots, report
from tests.benchmarks.exchange import Exchange
from tests.benchmarks.measures import rounds
from tests.benchmarks.plan import Plan
from tests.benchmarks.run import Run
from tests.benchmarks.systems import BY_NAME

TINY = Plan(rounds=1, rates=(100,), keeps_up=math.inf, paced_s=0.2, probe=20, drain=60, counted=20)
NAMES = ("direct-session", "ours-1")


def test_a_run_measures_reports_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each system has figures, each line of what must hold its verdict."""
    with Exchange() as exchange:
        systems = [BY_NAME[name] for name in NAMES]
        run = Run(TINY, systems, exchange, tmp_path, quiet=True)
        rounds.measure(run, [rounds.LATENCY, rounds.DRAIN, rounds.CALLS])
    assert run.results.failed == {}
    for name in NAMES:
        assert (run.results.median(rounds.DRAIN, name, "per_s") or 0) > 0
        assert (run.results.median(rounds.LATENCY, name, "at_100_p50_ms") or 0) > 0
        assert run.results.median(rounds.DRAIN, name, "repeated") == 0
    # Taken and recorded, each in Redis: no job costs less than one call.
    calls = run.results.figures[rounds.CALLS]["ours-1"]["calls_of_redis_per_job"]
    assert calls[0] >= 0.02
    report.print_json(run.results)
    said = json.loads(capsys.readouterr().out)
    verdicts = {line["line"]: line["verdict"] for line in said["must_hold"]}
    assert (
        "not measured"
        not in verdicts["latency p50 at 100/s, 1 processes, ms above a bare requests.Session call"]
    )
    (written,) = plots.write_plots(run.results, tmp_path / "plots")
    assert "ours-1" in written.read_text()
