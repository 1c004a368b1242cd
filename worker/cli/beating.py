"""`beat --every`: send a switch's heartbeats from the shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from worker import clock
from worker.cli import output
from worker.cli.errors import INTERRUPTED, MISUSED, CliError, explain
from worker.errors import StoreUnavailable, SwitchUnknown

if TYPE_CHECKING:
    from worker.client.producer import Producer
    from worker.client.switch import Beat, Switch

SAFE_SHARE = 2
"""A switch that gets a heartbeat at least every half timeout never trips."""
LATE = (
    "not in time: no worker has updated the exchange yet; this is normal just after arming, "
    "else see `cancel-worker status`"
)
DOWN = object()


def keep_beating(producer: Producer, switch: Switch, *, every_ms: float) -> None:
    """Send heartbeats until Ctrl-C; print the result whenever it changes.

    A Redis outage after the first heartbeat does not end the loop. Another
    arming of the same scope does: the heartbeats are for one epoch.

    Raises:
        SwitchError: The switch has ended, or has another holder.
        StoreUnavailable: Redis did not answer the first heartbeat.
        CliError: The interval is too long to hold the switch, and no heartbeat was sent; or
            Ctrl-C has ended the heartbeats.
    """
    record = switch.record()
    if record is None:
        raise SwitchUnknown(f"the record of switch {switch.id} has just expired")
    timeout_ms = record.timeout_ms
    if every_ms > timeout_ms / SAFE_SHARE:
        raise CliError(
            f"--every {every_ms / 1_000:g} is too long for a timeout of "
            f"{output.duration(timeout_ms)}: give at most {timeout_ms / SAFE_SHARE / 1_000:g}",
            code=MISUSED,
        )
    if not switch.epoch:
        switch = producer.switch(switch.id, epoch=record.epoch)
    first = switch.beat()
    try:
        _repeat(switch, first, every_ms)
    except KeyboardInterrupt:
        raise CliError(
            f"stopped sending heartbeats; the switch trips within {output.duration(timeout_ms)} "
            f"unless another heartbeat comes: `cancel-worker disarm {switch.id}` keeps its orders",
            code=INTERRUPTED,
        ) from None


def beat_text(beat: Beat) -> str:
    """Return the result of a heartbeat as text."""
    left = output.duration(beat.left_ms)
    return f"{left} left, {'in time' if beat.in_time else LATE}"


def _repeat(switch: Switch, first: Beat, every_ms: float) -> None:
    printed: object = first.in_time
    _print(first)
    due_ms = clock.monotonic_ms()
    while True:
        due_ms = max(due_ms + every_ms, clock.monotonic_ms())
        clock.sleep_ms(due_ms - clock.monotonic_ms())
        try:
            beat = switch.beat()
        except StoreUnavailable as error:
            if printed is not DOWN:
                output.note(f"{explain(error)[0]}; still sending heartbeats")
            printed = DOWN
            continue
        if printed is not beat.in_time:
            _print(beat)
        printed = beat.in_time


def _print(beat: Beat) -> None:
    output.say(beat_text(beat))
    sys.stdout.flush()
