"""A strategy that only holds a switch, for the demo to start, stop and kill.

`python -m worker.cli.demo.strategy '{"account": …, "pairs": […], "timeout_ms": …}'`
waits for a line, arms the switch, prints its id and sends heartbeats. SIGTERM stops it
cleanly; SIGKILL is a crash.
"""

from __future__ import annotations

import json
import signal
import sys

from worker import clock
from worker.cli.signal_event import SignalEvent
from worker.client.producer import Producer

BEATS = 4
"""Heartbeats in one timeout; two are enough."""


def main(wanted: str) -> None:
    """Hold the switch until SIGTERM."""
    stopping = SignalEvent()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopping.set())
    arguments = json.loads(wanted)
    producer = Producer()
    sys.stdin.readline()
    with producer.countdown(**arguments) as switch:
        sys.stdout.write(f"{switch.id}\n")
        sys.stdout.flush()
        while not clock.wait_ms(stopping, arguments["timeout_ms"] / BEATS):
            switch.beat()


if __name__ == "__main__":
    main(sys.argv[1])
