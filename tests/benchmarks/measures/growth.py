"""Whether a job costs more where many are pending, over many accounts, or ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.benchmarks.peers.ours import ACCOUNTS
from tests.benchmarks.redis_stats import asked, rewriting, used_bytes
from tests.benchmarks.results import Results
from tests.benchmarks.run import Run
from tests.benchmarks.systems import BY_NAME
from tests.benchmarks.trial import NS_PER_MS, Trial, percentile, running
from tests.support.polling import eventually
from worker import clock

GROWTH, SPREAD, EXPIRY = "growth", "accounts", "expiry"
MEASURES = (GROWTH, SPREAD, EXPIRY)
OURS = BY_NAME["ours-1"]
MEASURED = 2_000
"""Jobs of a backlog whose cost is measured; as many are pending beyond it as the row says."""
PARTS = 5
"""How many times a trial does so: a second of processor, not a part of one."""
SLOW_MS = 50
SINGLES = 60
SINGLES_PER_S = 20
GIVE_UP_MS = 20_000
EXPIRE_MS = 2_000
EXPIRY_S = 5
HZ = (10, 100)
"""How often a second Redis looks for what has expired: by default, and in `ops/redis`."""
REWRITE_MS = 120_000


def measure(run: Run, wanted: list[str]) -> None:
    """Measure what is wanted of `MEASURES`."""
    for turn in range(run.plan.rounds):
        if GROWTH in wanted:
            for pending in run.plan.backlogs:
                run.say(f"round {turn + 1}: {pending} pending")
                _backlog(run, pending, turn)
        if SPREAD in wanted:
            for accounts in run.plan.accounts:
                run.say(f"round {turn + 1}: {accounts} accounts")
                _spread(run, accounts, turn)
        if EXPIRY in wanted:
            run.say(f"round {turn + 1}: {run.plan.expiring} outcomes expire")
            _expiry(run, turn)


@dataclass
class _Cost:
    """What jobs have taken so far."""

    jobs: int = 0
    took_ms: float = 0
    cpu_s: float = 0
    redis_cpu_s: float = 0


def _backlog(run: Run, pending: int, turn: int) -> None:
    """Measure what jobs cost ahead of so many pending ones, and what passes them."""
    with running(OURS, run.folder / f"pending-{pending}-{turn}", run.exchange) as trial:
        trial.freeze()
        held = used_bytes(trial.client)
        # More than are named: singles are measured while some continue.
        total = pending + SINGLES * 40
        trial.producer.many(trial.prefix(), total)
        each = (used_bytes(trial.client) - held) / total
        cost = _Cost()
        for _ in range(PARTS):
            _part(run, trial, cost)
        trial.thaw()
        run.exchange.delay(SLOW_MS)
        try:
            passed = _singles(trial)
        finally:
            run.exchange.delay(0)
        run.results.add(
            GROWTH,
            f"{pending} pending",
            {
                "cpu_ms_per_job": cost.cpu_s / cost.jobs * 1_000,
                "redis_cpu_ms_per_job": cost.redis_cpu_s / cost.jobs * 1_000,
                "wall_ms_per_job": cost.took_ms / cost.jobs,
                "redis_bytes_per_job": each,
                "single_p50_ms": percentile(passed, 0.5),
                "single_p99_ms": percentile(passed, 0.99),
            },
        )


def _part(run: Run, trial: Trial, cost: _Cost) -> None:
    """Add some to a backlog, process as many, and add up what these cost."""
    assert trial.workers is not None
    trial.producer.many(trial.prefix(), MEASURED)
    # What Redis writes of them is none of the jobs' cost.
    eventually(lambda: not rewriting(trial.client), within_ms=REWRITE_MS, pause_ms=50)
    run.exchange.forget()
    cpu_s, before, begun = trial.workers.cpu_s(), asked(trial.client), clock.monotonic_ms()
    trial.thaw()
    arrived = run.exchange.wait_for(MEASURED, within_ms=120_000, pause_ms=5)
    trial.freeze()
    assert arrived, f"{run.exchange.count()} of {MEASURED} arrived"
    cost.took_ms += clock.monotonic_ms() - begun
    cost.cpu_s += trial.workers.cpu_s() - cpu_s
    cost.redis_cpu_s += asked(trial.client).since(before).cpu_s
    cost.jobs += run.exchange.count()


def _singles(trial: Trial) -> list[float]:
    """Return from call to arrival of single cancels beside a backlog; at most the bound."""
    prefix = trial.prefix()
    paced = trial.producer.paced(prefix, SINGLES, SINGLES_PER_S)
    ids = [f"{prefix}{n:07d}" for n in range(SINGLES)]
    until = clock.monotonic_ms() + GIVE_UP_MS
    arrivals: dict[str, Any] = {}
    while clock.monotonic_ms() < until and not all(each in arrivals for each in ids):
        clock.sleep_ms(500)
        arrivals = trial.exchange.arrivals()
    return sorted(
        (arrivals[each][0] - begun) / NS_PER_MS if each in arrivals else float(GIVE_UP_MS)
        for each, begun in zip(ids, paced.begun_ns, strict=True)
    )


def _spread(run: Run, accounts: int, turn: int) -> None:
    """Measure a drain over so many accounts."""
    more = {ACCOUNTS: str(accounts)}
    with running(OURS, run.folder / f"accounts-{accounts}-{turn}", run.exchange, more=more) as it:
        single, many = it.drain(run.plan.drain), it.drain(run.plan.drain, many=True)
        run.results.add(
            SPREAD,
            f"{accounts} accounts",
            {
                "per_s": single.per_s,
                "cpu_ms_per_job": single.cpu_s,
                "many_per_s": many.per_s,
                "many_cpu_ms_per_job": many.cpu_s,
            },
        )


def _expiry(run: Run, turn: int) -> None:
    """Measure latency while the outcomes of many jobs expire, as fast as they ended, or at once."""
    with running(OURS, run.folder / f"expiry-{turn}", run.exchange) as trial:
        before = trial.paced(EXPIRY_S * 50, 50).took_ms
        _add_expiry(run.results, "before", before)
        drained = _ended(trial, run.plan.expiring)
        over_ms = round(run.plan.expiring / drained * 1_000)
        _add_expiry(run.results, "as fast as they ended", *_expiring(trial, over_ms))
        for hz in HZ:
            trial.client.config_set("hz", hz)
            _ended(trial, run.plan.expiring)
            _add_expiry(run.results, f"all at once, hz {hz}", *_expiring(trial, over_ms=0))


def _ended(trial: Trial, count: int) -> float:
    """End so many jobs; return how many a second."""
    return trial.drain(count, many=True).per_s


def _expiring(trial: Trial, over_ms: int) -> tuple[list[float], int]:
    """Return the latencies while all outcomes expire within that time, and how many did."""
    keys = list(trial.client.scan_iter("cx:job:*", count=1_000))
    pipe = trial.client.pipeline(transaction=False)
    for place, key in enumerate(keys):
        pipe.pexpire(key, EXPIRE_MS + over_ms * place // len(keys))
    pipe.execute()
    sent = (EXPIRY_S * 1_000 + over_ms) * 50 // 1_000
    took = trial.paced(sent, 50).took_ms
    left = sum(1 for _ in trial.client.scan_iter("cx:job:*", count=1_000))
    return took, len(keys) + sent - left


def _add_expiry(results: Results, name: str, took: list[float], gone: int = 0) -> None:
    figures = {"p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)}
    results.add(EXPIRY, name, {**figures, "max_ms": took[-1], "outcomes_gone": float(gone)})
