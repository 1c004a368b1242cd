"""What a system loses when its workers are killed with messages in flight.

Lost is an order whose answer no client ever got: it was never sent, or it was
sent and not sent again without an answer.
"""

from __future__ import annotations

import contextlib

from tests.benchmarks.run import Run
from tests.benchmarks.trial import Trial, running
from tests.support.polling import eventually
from worker import clock

KILL = "kill"
MEASURES = (KILL,)
SLOW_MS = 20
"""Each request takes this long, so that the kill meets some of them under way."""
KILLED_AT = 0.25
"""Share of the backlog that has arrived when the kill comes."""


def measure(run: Run) -> None:
    """Kill each system's workers once, start them again, and count what is never proven."""
    for system in run.systems:
        if not system.queued:
            continue
        run.say(f"kill {system.name}")
        try:
            with running(system, run.folder / f"{system.name}-killed", run.exchange) as trial:
                _kill(run, trial)
        except AssertionError as error:
            run.failed(system, error)
        finally:
            run.exchange.delay(0)


def _kill(run: Run, trial: Trial) -> None:
    assert trial.workers is not None
    count, exchange = run.plan.killed, run.exchange
    exchange.delay(SLOW_MS)
    trial.freeze()
    exchange.forget()
    trial.producer.burst(trial.prefix(), count)
    trial.thaw()
    exchange.wait_for(int(count * KILLED_AT), within_ms=60_000, pause_ms=3)
    killed_ms = clock.monotonic_ms()
    trial.workers.kill()
    at_kill = exchange.count()
    exchange.delay(0)
    trial.workers.start()
    with contextlib.suppress(AssertionError):
        eventually(
            lambda: exchange.answered() >= count, within_ms=run.plan.kill_bound_ms, pause_ms=50
        )
    took_s = (clock.monotonic_ms() - killed_ms) / 1_000
    arrivals, unproven = exchange.arrivals(), count - exchange.answered()
    figures: dict[str, float] = {
        "sent_before_kill": at_kill,
        "never_sent": count - len(arrivals),
        "never_proven": unproven,
        "repeated": sum(times > 1 for _, times in arrivals.values()),
    }
    if not unproven:
        figures["all_proven_after_s"] = took_s
    run.results.add(KILL, trial.system.name, figures)
