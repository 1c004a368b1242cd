"""Two hosts on one machine, as network namespaces, with a cable between them to unplug."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from types import TracebackType
from typing import Any, Literal, Self

import pytest

from tests.support.debian import library_path, unpacked

NEAR, FAR = "10.99.0.1", "10.99.0.2"
"""Their addresses; nothing else in their namespaces has any."""
HOLD = ("sh", "-c", "echo ready; exec cat")
"""Keeps a namespace until its input is closed, and so not after the test."""
START_S = 10

Side = Literal["near", "far"]


class Hosts:
    """Two hosts; what is started on them ends with them.

    Skips the test where no user may make network namespaces.

    Args:
        known: Whether each knows the other's hardware address for good. Else it is
            asked for when the cable is plugged in, and the kernel keeps packets
            for up to 3 s until there is an answer.
    """

    def __init__(self, *, known: bool = True) -> None:
        self._known = known
        self._stack = contextlib.ExitStack()
        self._enter: dict[Side, list[str]] = {}
        self._pids: dict[Side, int] = {}

    def __enter__(self) -> Self:
        """Make them."""
        with contextlib.ExitStack() as stack:
            self._stack = stack
            user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
            join = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
            self._hold("near", ["unshare", *user, "--net"], join)
            self._hold("far", [*self._enter["near"], "unshare", "--net"], join)
            far = str(self._pids["far"])
            self._ip("near", "link", "add", "cable", "type", "veth", "peer", "cable", "netns", far)
            sides: tuple[tuple[Side, str], ...] = (("near", NEAR), ("far", FAR))
            for side, address in sides:
                self._ip(side, "address", "add", f"{address}/24", "dev", "cable")
                self._ip(side, "link", "set", "lo", "up")
                self._ip(side, "link", "set", "cable", "up")
            if self._known:
                self._know("near", FAR, self._hardware_address("far"))
                self._know("far", NEAR, self._hardware_address("near"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them, and what runs on them."""
        self._stack.close()

    def unplug(self) -> None:
        """Have every packet between them get lost."""
        self._ip("far", "link", "set", "cable", "down")

    def plug(self) -> None:
        """Connect them again."""
        self._ip("far", "link", "set", "cable", "up")

    def python(self, side: Side, *arguments: str) -> subprocess.Popen[str]:
        """Start Python on one of them, with pipes for its input and output."""
        return self.run(side, sys.executable, *arguments)

    def run(self, side: Side, *command: str) -> subprocess.Popen[str]:
        """Start a program on one of them, with pipes for its input and output."""
        process = subprocess.Popen(
            [*self._enter[side], *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._stack.callback(_end, process)
        return process

    def unsent_bytes(self) -> int:
        """Return how many bytes the near kernel would send to the far host, or send again."""
        rows = self._sockets()
        return sum(int(row[4].partition(":")[0], 16) for row in rows if row[2].startswith(_FAR))

    def neighbor(self) -> str:
        """Return the state of the far host's hardware address, as the near host has it."""
        return "".join(self._ip("near", "neighbour", "show", FAR).split()[-1:])

    def _hardware_address(self, side: Side) -> str:
        words = self._ip(side, "link", "show", "dev", "cable").split()
        return words[words.index("link/ether") + 1]

    def _know(self, side: Side, address: str, hardware: str) -> None:
        self._ip(side, "neighbour", "replace", address, "lladdr", hardware, "dev", "cable")

    def _sockets(self) -> list[list[str]]:
        with open(f"/proc/{self._pids['near']}/net/tcp", encoding="ascii") as table:  # noqa: PTH123
            return [line.split() for line in table.readlines()[1:]]

    def _hold(self, side: Side, make: list[str], join: list[str]) -> None:
        process = subprocess.Popen(
            [*make, *HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(_end, process)
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "ready\n":
            pytest.skip(f"no right to make a network namespace: {process.stderr.read().strip()}")
        self._pids[side] = process.pid
        self._enter[side] = ["nsenter", "--target", str(process.pid), *join, "--net"]

    def _ip(self, side: Side, *arguments: str) -> str:
        program, environment = _ip_program()
        done = subprocess.run(
            [*self._enter[side], program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no right to set up a network: {done.stderr.strip()}")
        return done.stdout


_FAR = "".join(f"{int(part):02X}" for part in reversed(FAR.split(".")))
"""As /proc/net/tcp writes it."""


def _ip_program() -> tuple[str, dict[str, str]]:
    found = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    if found:
        return found, {**os.environ}
    folder = unpacked("iproute2")
    (program,) = (
        path for path in folder.rglob("ip") if path.is_file() and path.parent.name == "bin"
    )
    return str(program), {**os.environ, "LD_LIBRARY_PATH": library_path(folder)}


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
