"""A system's worker processes as one: freeze, thaw, kill, and what they cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.polling import eventually

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
STOP_MS = 15_000


@dataclass
class ProcessGroup:
    """Processes started with the same environment, each the head of a session of its own."""

    commands: Sequence[Sequence[str]]
    environment: Mapping[str, str]
    log: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start them."""
        with self.log.open("ab") as out:
            for command in self.commands:
                process = subprocess.Popen(
                    command,
                    stdout=out,
                    stderr=out,
                    env={**os.environ, **self.environment},
                    start_new_session=True,
                )
                self.started.append(process)

    def text(self) -> str:
        """Return their output."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check(self) -> None:
        """Raise if one of them has ended by itself."""
        for process in self.started:
            assert process.poll() is None, f"a worker ended:\n{self.text()[-3_000:]}"

    def pids(self) -> list[int]:
        """Return all processes, children too."""
        heads = {process.pid for process in self.started}
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if int(stat_fields(int(entry.name))[3]) in heads:
                    found.append(int(entry.name))
        return sorted(found)

    def signal(self, number: signal.Signals) -> None:
        """Send all of them a signal."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self) -> None:
        """Stop them where they are."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them continue."""
        self.signal(signal.SIGCONT)

    def cpu_s(self) -> float:
        """Return the CPU seconds that they and their ended children have used."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                # utime, stime, and of children waited for.
                total += sum(int(each) for each in stat_fields(pid)[11:15])
        return total * TICK_S

    def memory_mb(self) -> float:
        """Return their proportional memory in MB: shared pages count once."""
        total_kb = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total_kb += int(line.split()[1])
        return total_kb / 1_024

    def kill(self) -> None:
        """End them at once, children too."""
        self.signal(signal.SIGKILL)
        for process in self.started:
            process.wait()
        self.started = []

    def stop(self) -> None:
        """Ask them to end; what does not is killed."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        with contextlib.suppress(AssertionError):
            eventually(
                lambda: all(each.poll() is not None for each in self.started),
                within_ms=STOP_MS,
                pause_ms=50,
            )
        self.kill()


def stat_fields(pid: int) -> list[str]:
    """Return `/proc/<pid>/stat` from its third field on: [3] session, [11:15] CPU ticks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
