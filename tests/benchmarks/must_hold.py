"""What must hold, each line with what was measured."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.benchmarks.measures.growth import GROWTH
from tests.benchmarks.measures.kill import KILL
from tests.benchmarks.measures.rounds import CALL, DRAIN, IDLE, LATENCY
from tests.benchmarks.measures.stall import STALL
from tests.benchmarks.results import Results
from tests.benchmarks.systems import SYSTEMS

PROCESSES = (1, 2)
ASYNCHRONOUS = ("arq_peer", "taskiq_peer")
EXTRA_MS = 2.5
EXTRA_LIST_MS = 0.6
RATES = (20, 100, 500, 1_000)
KEEPING = [
    system.name for system in SYSTEMS if system.style == "reliable" and system.module != "ours"
]
"""Peers that keep a job through their worker's SIGKILL."""
COMMANDS_PER_S = 30
HOW: dict[str, Callable[[float, float], bool]] = {
    "≤": operator.le,
    "≥": operator.ge,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must hold; `measured` is None where the run left it out."""

    text: str
    measured: float | None
    bound: float
    sign: str = "≤"

    @property
    def verdict(self) -> str:
        """Say whether it holds."""
        if self.measured is None:
            return "not measured"
        return "holds" if HOW[self.sign](self.measured, self.bound) else "MISSED"


def lines(results: Results) -> list[Line]:
    """Return all lines, ratios as measured over reference."""
    return [
        *_latency(results),
        *_drains(results),
        *_calls(results),
        *_growth(results),
        *_idle(results),
        Line(
            "p99 beside a black-holed exchange over that without",
            _ratio(results, STALL, ("beside the stalled", "p99_ms"), ("without", "p99_ms")),
            2,
        ),
        *(
            Line(
                f"{name}: jobs never proven after a kill",
                results.median(KILL, name, "never_proven"),
                0,
            )
            for name in ("ours-1", "ours-2")
        ),
    ]


def _latency(results: Results) -> Iterator[Line]:
    for n in PROCESSES:
        ours = f"ours-{n}"
        for rate, part in itertools.product(RATES, ("p50", "p99")):
            figure = f"at_{rate}_{part}_ms"
            best = min(KEEPING, key=lambda name: results.median(LATENCY, name, figure) or math.inf)
            text = f"latency {part} at {rate}/s, {n} processes over the best that keeps a job"
            ratio = _ratio(results, LATENCY, (ours, figure), (best, figure))
            yield Line(f"{text} ({best})", ratio, 1)
        at_100_ms = results.median(LATENCY, ours, "at_100_p50_ms")
        for floor, name, most_ms in (
            (f"blmove-raw-{n}", "the bare Redis list", EXTRA_LIST_MS),
            ("direct-session", "a bare requests.Session call", EXTRA_MS),
        ):
            bare_ms = results.median(LATENCY, floor, "at_100_p50_ms")
            extra = None if at_100_ms is None or bare_ms is None else at_100_ms - bare_ms
            yield Line(f"latency p50 at 100/s, {n} processes, ms above {name}", extra, most_ms)
        half = _ratio(results, LATENCY, (ours, "at_50%_p50_ms"), (ours, "at_100_p50_ms"))
        yield Line(f"latency p50 at half of its maximum over that at 100/s, {n} processes", half, 3)


def _drains(results: Results) -> Iterator[Line]:
    keeping = [
        system.name
        for system in SYSTEMS
        if system.client == "session"
        and system.style == "reliable"
        # Those on requests: the asynchronous ones have aiohttp.
        and system.module not in ASYNCHRONOUS
    ]
    for n in PROCESSES:
        single, many = (f"ours-{n}", "per_s"), (f"ours-{n}", "many_per_s")
        celery = (f"celery-threads-{n}", "per_s")
        yield Line(
            f"drain of single cancels, {n} processes over Celery with late acknowledgement",
            _ratio(results, DRAIN, single, celery),
            1.5,
            "≥",
        )
        rates = [(rate, name) for name in keeping if (rate := results.median(DRAIN, name, "per_s"))]
        best = max(rates, default=(0.0, "none measured"))[1]
        yield Line(
            f"cancel_many, {n} processes over the fastest peer that keeps a job ({best})",
            _ratio(results, DRAIN, many, (best, "per_s")),
            1.5,
            "≥",
        )
        for floor in sorted({"blmove-raw-1", f"blmove-raw-{n}"}):
            yield Line(
                f"cancel_many, {n} processes over the bare Redis list with a raw client ({floor})",
                _ratio(results, DRAIN, many, (floor, "many_per_s")),
                1,
                "≥",
            )
        cpu = "many_cpu_ms_per_job"
        yield Line(
            f"cancel_many, CPU a job, {n} processes over the bare Redis list",
            _ratio(results, DRAIN, (f"ours-{n}", cpu), (f"blmove-raw-{n}", cpu)),
            1.3,
        )


def _calls(results: Results) -> Iterator[Line]:
    for kind in ("call_us", "call_cpu_us"):
        publish = ("celery-threads-1", kind)
        what = "wall" if kind == "call_us" else "CPU"
        one = _ratio(results, DRAIN, ("ours-1", kind), publish)
        each = _ratio(results, DRAIN, ("ours-1", f"many_{kind}"), publish)
        yield Line(f"cancel() in a burst, {what} over Celery's publish", one, 1.3)
        yield Line(f"cancel_many an order, {what} over Celery's publish", each, 0.15)
    figure = "at_100_p50_ms"
    paced = _ratio(results, CALL, ("ours-1", figure), ("celery-threads-1", figure))
    yield Line("cancel() at 100/s, wall over Celery's publish", paced, 1.3)


def _growth(results: Results) -> Iterator[Line]:
    rows = list(results.figures.get(GROWTH, {}))
    least, most = (rows[0], rows[-1]) if rows else ("1000 pending", "1000000 pending")
    for figure in ("cpu_ms_per_job", "redis_cpu_ms_per_job"):
        ratio = _ratio(results, GROWTH, (most, figure), (least, figure))
        yield Line(f"{figure} at {most} over at {least}", ratio, 1.2)


def _idle(results: Results) -> Iterator[Line]:
    busy = results.median(IDLE, "ours-1", "cpu_percent")
    commands = results.median(IDLE, "ours-1", "redis_commands_per_s")
    yield Line("idle worker, % of a core", busy, 1, "<")
    yield Line("idle worker, Redis commands/s", commands, COMMANDS_PER_S, "<")


def _ratio(
    results: Results, measure: str, ours: tuple[str, str], other: tuple[str, str]
) -> float | None:
    above, below = results.median(measure, *ours), results.median(measure, *other)
    return None if above is None or not below else above / below
