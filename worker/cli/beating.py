"""`beat --every`: a shell that beats in a strategy's place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from worker import clock
from worker.cli import output
from worker.cli.commands.switch import SAFE_SHARE, told_of
from worker.cli.errors import MISUSED, CliError, explain
from worker.errors import StoreUnavailable, SwitchUnknown

if TYPE_CHECKING:
    from worker.client.producer import Producer
    from worker.client.switch import Beat, Switch

AWAY = object()


def keep_beating(producer: Producer, switch: Switch, *, every_ms: float) -> None:
    """Beat until Ctrl-C; say what came of it whenever that changes.

    Redis being away for a while is no reason to stop. Another arming of the
    same scope is: it beats for one epoch alone.

    Raises:
        SwitchError: The switch has ended, or is another's.
        StoreUnavailable: Redis did not answer the first beat.
        CliError: So few beats would not hold the switch. None was made.
    """
    record = switch.record()
    if record is None:
        raise SwitchUnknown(f"switch {switch.id} has just been forgotten")
    timeout_ms = record.timeout_ms
    if every_ms > timeout_ms / SAFE_SHARE:
        raise CliError(
            f"--every {every_ms / 1_000:g} is too seldom for a timeout of "
            f"{output.duration(timeout_ms)}: give at most {timeout_ms / SAFE_SHARE / 1_000:g}",
            code=MISUSED,
        )
    if not switch.epoch:
        switch = producer.switch(switch.id, epoch=record.epoch)
    first = switch.beat()
    try:
        _go_on(switch, first, every_ms)
    except KeyboardInterrupt:
        output.say(
            f"stopped beating; without another beat its orders come off within "
            f"{output.duration(timeout_ms)}: `cancel-worker disarm {switch.id}` keeps them"
        )


def _go_on(switch: Switch, first: Beat, every_ms: float) -> None:
    told: object = first.in_time
    _tell(first)
    due_ms = clock.monotonic_ms()
    while True:
        due_ms = max(due_ms + every_ms, clock.monotonic_ms())
        clock.sleep_ms(due_ms - clock.monotonic_ms())
        try:
            beaten = switch.beat()
        except StoreUnavailable as error:
            if told is not AWAY:
                output.note(f"{explain(error)[0]}; beating on")
            told = AWAY
            continue
        if told is not beaten.in_time:
            _tell(beaten)
        told = beaten.in_time


def _tell(beaten: Beat) -> None:
    output.say(told_of(beaten))
    sys.stdout.flush()
