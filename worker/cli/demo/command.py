"""`demo`: shows on this machine that the promises hold, and exits 0 only if they did."""

from __future__ import annotations

import typer

from worker import clock
from worker.cli import output
from worker.cli.errors import FAILED


def demo() -> None:
    """Show the whole story on this machine: no service, no settings, no exchange needed."""
    from worker.cli.demo import cancels, silence  # noqa: PLC0415  slow
    from worker.cli.demo.stage import NotShown, open_stage  # noqa: PLC0415  slow

    begun_ms = clock.monotonic_ms()
    scenes = {
        "One order on each exchange is canceled": cancels.one_each,
        "A burst of orders on one exchange": cancels.burst,
        "An order that was filled just before": cancels.filled,
        "The exchange's answer is lost": cancels.lost_reply,
        "A worker is killed in mid-request": cancels.killed_worker,
        "A strategy is killed; the exchange keeps a timer": silence.native,
        "A strategy is killed; the exchange has no timer": silence.emulated,
        "Strategies end cleanly": silence.disarmed,
    }
    output.say("Starting Redis, three simulated exchanges, a Celery worker and beat ...")
    try:
        with open_stage() as stage:
            started_ms = clock.monotonic_ms() - begun_ms
            output.say(f"   ready in {started_ms / 1_000:.1f} s")
            for title, scene in scenes.items():
                output.say(f"\n{title}")
                scene(stage, lambda line: output.say(f"   {line}"))
    except NotShown as error:
        output.note(f"did not hold: {error}")
        raise typer.Exit(FAILED) from None
    took_s = (clock.monotonic_ms() - begun_ms) / 1_000
    output.say(f"\nAll of it held, in {took_s:.1f} s. Next: cancel-worker up --simulator")
