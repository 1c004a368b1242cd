"""Results of a run, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tests.chaos import recovery
from tests.chaos.checks import cancels, check, duplicates
from tests.chaos.checks import switches as switch_checks
from tests.chaos.history import Violation
from tests.chaos.recovery import percentile
from tests.chaos.run import Finished
from tests.chaos.windows import of, union
from worker.model.jobs import State

SHOWN = 5
"""Violations of one promise whose history is printed."""


def verdict(finished: Finished, *, timed: bool = True) -> list[Violation]:
    """Return every broken promise of a run.

    Args:
        finished: The run.
        timed: Judge also how soon jobs were resumed, which a machine busy with
            other things decides as much as the program.
    """
    found = check(finished.history)
    found += [Violation("a process ended by itself", line) for line in finished.exits]
    if timed:
        found += _slow_recovery(finished)
    return found


def _slow_recovery(finished: Finished) -> Iterator[Violation]:
    measured = recovery.measure(finished.history)
    bound = finished.history.bounds.lease_ms + recovery.RESUME_SLACK_MS
    late = percentile(measured.resumed, 0.99)
    if late > bound:
        yield Violation("jobs of a killed worker were resumed late", f"p99 {late:.0f} ms")
    for kind, took_ms in measured.redis.items():
        slow = max(took_ms, default=0)
        if slow > recovery.REDIS_BACK_MS[kind]:
            yield Violation(f"the first job after {kind} was late", f"{slow:.0f} ms")


def table(finished: Finished, violations: Iterable[Violation]) -> list[str]:
    """Return the summary of a run as lines."""
    history = finished.history
    jobs = history.jobs.values()
    ended = Counter(str(job.outcome) for job in jobs if job.state is State.DONE)
    dead = sum(job.state is State.DEAD for job in jobs)
    faults = Counter(f.kind for f in history.faults if f.part != "machine")
    machine_ms = sum(end - start for start, end in union(of(history.faults, "machine")))
    said = Counter(call.said for call in history.cancels if call.kind != "plain")
    calls = Counter(f"{c.call} {c.said}" for c in history.switches)
    tally = switch_checks.Tally()
    switch_checks.check(history, tally)
    measured = recovery.measure(history)
    late = tally.late_ms
    by_cause = duplicates.counted(history)
    plain = sum(call.kind == "plain" and call.said == "ok" for call in history.cancels)
    lost = sum(excused for _, excused in cancels.unrecorded(history))
    broken = Counter(violation.promise for violation in violations)
    accepted = len({ticket for call in history.cancels for ticket in call.tickets})
    judged = (
        f"{tally.judged} of {tally.ended}, {tally.waited_for_calm} after waiting for calm, "
        f"{tally.starved} on a starved machine; "
        f"excused: {tally.thwarted} thwarted, {tally.early_excused} early"
    )
    rows = {
        "jobs": f"{len(jobs)} in all, {accepted} by tickets; {dict(ended)}, dead {dead}",
        "producers told": str(dict(said)),
        "plain messages": f"{plain} sent, {lost} lost by the transport in a fault",
        "requests at the exchanges": str(len(history.journal)),
        "faults": f"{sum(faults.values())}: {dict(sorted(faults.items()))}",
        "machine held up": f"{machine_ms / 1_000:.0f} s",
        "switch calls": str(dict(calls)),
        "switches judged": judged,
        "native after the deadline": spread(late["native"]),
        "emulated after the deadline": spread(late["emulated"]),
        "sent again": f"{sum(by_cause.values())}: {dict(by_cause.most_common())}",
        "resumed after a kill": spread(measured.resumed) + f" (lease {history.bounds.lease_ms})",
        **{f"first job after {kind}": spread(ms) for kind, ms in measured.redis.items()},
        "broken promises": str(dict(broken)) if broken else "none",
    }
    return [f"{name:<30} {text}" for name, text in rows.items()]


def spread(values: Sequence[float]) -> str:
    """Return how ms are spread, as text."""
    if not values:
        return "none seen"
    half, most = percentile(values, 0.5), percentile(values, 0.99)
    return f"p50 {half:.0f}, p99 {most:.0f}, most {max(values):.0f} ms, {len(values)} times"


def shown(violations: Iterable[Violation]) -> list[str]:
    """Return what broke which promise, with its history, as lines."""
    lines: list[str] = []
    seen: Counter[str] = Counter()
    for violation in violations:
        seen[violation.promise] += 1
        if seen[violation.promise] <= SHOWN:
            lines += [f"{violation.promise}: {violation.what}"]
            lines += [f"    {item}" for item in violation.about]
    return lines
