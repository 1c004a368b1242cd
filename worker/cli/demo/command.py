"""`demo`: show the promises on this machine; exit 0 only if all hold."""

from __future__ import annotations

import typer

from worker import clock
from worker.cli import output
from worker.cli.errors import FAILED


def demo() -> None:
    """Show the promises on this machine. Needs no service, settings or exchange."""
    from worker.cli.demo import cancels, silence  # noqa: PLC0415  slow
    from worker.cli.demo.stage import NotShown, open_stage  # noqa: PLC0415  slow

    begun_ms = clock.monotonic_ms()
    scenes = {
        "One order on each exchange is canceled": cancels.one_each,
        "A burst of orders on one exchange": cancels.burst,
        "An order that was filled just before": cancels.filled,
        "The exchange's reply is lost": cancels.lost_reply,
        "A worker is killed mid-request": cancels.killed_worker,
    }
    output.say("Starting Redis, simulated exchanges, a Celery worker and beat ...")
    try:
        with open_stage() as stage:
            started_ms = clock.monotonic_ms() - begun_ms
            output.say(f"   ready in {started_ms / 1_000:.1f} s")
            stage.add_worker()
            cast = silence.Cast(stage)
            for title, scene in scenes.items():
                output.say(f"\n{title}")
                scene(stage, lambda line: output.say(f"   {line}"))
            for title, lines in silence.at_once(stage, cast):
                output.say(f"\n{title}")
                for line in lines:
                    output.say(f"   {line}")
    except NotShown as error:
        output.note(f"failed: {error}")
        raise typer.Exit(FAILED) from None
    took_s = (clock.monotonic_ms() - begun_ms) / 1_000
    output.say(f"\nAll promises held, in {took_s:.1f} s. Next: cancel-worker up --simulator")
