"""Start, observe and end the strategies of the demo."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from worker.cli.demo.stage import NotShown, Stage
from worker.client.switch import Switch
from worker.model.switches import SwitchRecord

PROGRAM = "worker.cli.demo.strategy"
END_S = 5


@dataclass(frozen=True)
class Strategy:
    """A strategy process and its switch."""

    process: subprocess.Popen[bytes]
    switch: Switch

    def alive(self) -> bool:
        """Return whether it runs."""
        return self.process.poll() is None

    def record(self) -> SwitchRecord:
        """Return the record of its switch.

        Raises:
            NotShown: Redis has none.
        """
        record = self.switch.record()
        if record is None:
            raise NotShown(f"switch {self.switch.id} is not known")
        return record

    def end(self, number: signal.Signals) -> SwitchRecord:
        """End it by a signal; return the record of its switch afterwards.

        Raises:
            NotShown: It had already ended, or did not end as expected.
        """
        if not self.alive():
            raise NotShown("a strategy ended by itself")
        self.process.send_signal(number)
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            raise NotShown(f"a strategy did not end within {END_S} s") from None
        if code != (-number if number is signal.SIGKILL else 0):
            raise NotShown(f"a strategy ended with code {code}")
        return self.record()


def ready_strategy(stage: Stage, wanted: Mapping[str, object]) -> subprocess.Popen[bytes]:
    """Start a strategy, which arms its switch once `arm` is called."""
    return stage.start(PROGRAM, json.dumps(wanted))


def arm(stage: Stage, process: subprocess.Popen[bytes]) -> Strategy:
    """Have a strategy arm its switch; return once it is armed.

    Raises:
        NotShown: It did not arm its switch.
    """
    assert process.stdin is not None  # noqa: S101  as `Stage.start` makes it
    assert process.stdout is not None  # noqa: S101  as `Stage.start` makes it
    with contextlib.suppress(OSError):  # it has ended: nothing is printed
        process.stdin.write(b"\n")
        process.stdin.flush()
    switch_id = process.stdout.readline().decode().strip()
    if not switch_id:
        raise NotShown("a strategy did not start")
    return Strategy(process, stage.producer.switch(switch_id))
