"""What a Redis has been asked, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis


@dataclass(frozen=True, slots=True)
class Asked:
    """Counts since Redis started.

    Attributes:
        commands: Those in scripts too.
        reads: Reads of a client's socket, about one a round trip.
        cpu_s: Of the whole server.
    """

    commands: int
    reads: int
    cpu_s: float

    def since(self, before: Asked) -> Asked:
        """Return the difference."""
        return Asked(
            self.commands - before.commands, self.reads - before.reads, self.cpu_s - before.cpu_s
        )


def asked(client: redis.Redis) -> Asked:
    """Return what has been asked so far; this counts two reads itself."""
    stats: dict[str, Any] = client.info("stats")  # type: ignore[assignment]
    cpu: dict[str, Any] = client.info("cpu")  # type: ignore[assignment]
    return Asked(
        stats["total_commands_processed"],
        stats["total_reads_processed"],
        cpu["used_cpu_sys"] + cpu["used_cpu_user"],
    )


def by_command(client: redis.Redis) -> dict[str, int]:
    """Return the calls of each command."""
    rows: dict[str, dict[str, Any]] = client.info("commandstats")  # type: ignore[assignment]
    return {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in rows.items()}


def used_bytes(client: redis.Redis) -> int:
    """Return the memory that the data and their clients take."""
    memory: dict[str, Any] = client.info("memory")  # type: ignore[assignment]
    return int(memory["used_memory"])


def rewriting(client: redis.Redis) -> bool:
    """Whether Redis rewrites its AOF, which can keep it from answering for a while."""
    state: dict[str, Any] = client.info("persistence")  # type: ignore[assignment]
    return bool(state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])
