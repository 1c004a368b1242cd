"""A producer as a process of its own, which reads from its standard input what to send.

Run: `python -m tests.benchmarks.producing MODULE`; see `producer.ProducerProcess`.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker import clock

CHUNK = 3_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sender:
    """How a system takes one job, and many at once where it can."""

    one: Callable[[str], object]
    many: Callable[[list[str]], object] | None = None


def paced(sender: Sender, ids: list[str], per_s: float) -> dict[str, Any]:
    """Send one by one at a rate; return when each call began and what it took, in ns."""
    begun, took = [], []
    first = time.monotonic_ns() + 20 * NS_PER_MS
    for n, order_id in enumerate(ids):
        clock.sleep_ms((first + n * 1e9 / per_s - time.monotonic_ns()) / NS_PER_MS)
        at = time.monotonic_ns()
        sender.one(order_id)
        took.append(time.monotonic_ns() - at)
        begun.append(at)
    return {"begun": begun, "took": took}


def burst(sender: Sender, ids: list[str]) -> dict[str, Any]:
    """Send one by one, as fast as it goes."""
    at, cpu = time.monotonic_ns(), time.process_time_ns()
    for order_id in ids:
        sender.one(order_id)
    return {"begun": at, "took": time.monotonic_ns() - at, "cpu": time.process_time_ns() - cpu}


def many(sender: Sender, ids: list[str]) -> dict[str, Any]:
    """Send in calls for many, where the system has such a call."""
    if sender.many is None:
        return burst(sender, ids)
    at, cpu = time.monotonic_ns(), time.process_time_ns()
    for start in range(0, len(ids), CHUNK):
        sender.many(ids[start : start + CHUNK])
    return {"begun": at, "took": time.monotonic_ns() - at, "cpu": time.process_time_ns() - cpu}


def main() -> None:
    """Do what each line says, and answer each with a line."""
    sender = importlib.import_module(sys.argv[1]).sender()
    sys.stdout.write(json.dumps({"many": sender.many is not None}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        ids = [f"{order['prefix']}{n:07d}" for n in range(order["count"])]
        gc.collect()
        match order["how"]:
            case "paced":
                answer = paced(sender, ids, order["per_s"])
            case "burst":
                answer = burst(sender, ids)
            case _:
                answer = many(sender, ids)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
