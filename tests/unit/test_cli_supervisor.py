"""The supervisor of `up`, on parts that only pretend."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from worker import clock
from worker.cli.up import supervisor
from worker.cli.up.children import without_secrets
from worker.cli.up.supervisor import BACKOFF_MAX_MS, CHECK_MS, Supervisor, backoff_ms
from worker.config.accounts import CREDENTIALS
from worker.errors import CancelWorkerError, StoreUnavailable


@dataclass
class Fake:
    """A part whose every start ends as given."""

    name: str
    journal: list[str]
    endings: list[int | None] = field(default_factory=list)
    refusals: int = 0
    clean: bool = True
    ending: int | None = None

    def start(self) -> None:
        """Start, unless it refuses."""
        self.journal.append(f"start {self.name}")
        if self.refusals:
            self.refusals -= 1
            raise (StoreUnavailable if self.refusals % 2 else OSError)("not now")
        self.ending = self.endings.pop(0) if self.endings else None

    def exit_code(self) -> int | None:
        """Return how it ended."""
        return self.ending

    def stop(self) -> bool:
        """Stop."""
        self.journal.append(f"stop {self.name}")
        return self.clean


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], threading.Event]:
    """Let time pass at once, up to an end in ms at which a stop is asked for."""
    now_ms = 0.0
    stopping = threading.Event()
    end_ms = 0.0

    def wait(event: threading.Event, duration_ms: float) -> bool:
        nonlocal now_ms
        now_ms += duration_ms
        if now_ms >= end_ms:
            event.set()
        return event.is_set()

    def until(ms: float) -> threading.Event:
        nonlocal end_ms
        end_ms = ms
        return stopping

    monkeypatch.setattr(clock, "wait_ms", wait)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: now_ms)
    return until


Until = Callable[[float], threading.Event]


def test_parts_start_in_order_and_stop_in_reverse(passing: Until) -> None:
    """What is needed first comes first, and goes last."""
    journal: list[str] = []
    parts = [[Fake("redis", journal)], [Fake("worker", journal)]]
    assert Supervisor(parts, passing(1_000)).run() == 0
    assert journal == ["start redis", "start worker", "stop worker", "stop redis"]


def test_parts_of_one_stage_stop_together(passing: Until) -> None:
    """Each waits until the others, too, have been signaled."""
    journal: list[str] = []
    together = threading.Barrier(3)

    class Waiting(Fake):
        def stop(self) -> bool:
            together.wait(10)
            return super().stop()

    workers = [Waiting(f"worker {n}", journal) for n in range(3)]
    assert Supervisor([[Fake("redis", journal)], workers], passing(1_000)).run() == 0
    assert journal[-1] == "stop redis"


def test_a_part_that_dies_is_started_again(passing: Until) -> None:
    """Only that part."""
    journal: list[str] = []
    parts = [[Fake("redis", journal), Fake("worker", journal, endings=[-9, 1, None])]]
    assert Supervisor(parts, passing(10_000)).run() == 0
    assert journal.count("start worker") == 3
    assert journal.count("start redis") == 1


def test_a_part_that_keeps_dying_is_started_ever_more_rarely(passing: Until) -> None:
    """Half a second, then doubled; never more than half a minute."""
    journal: list[str] = []
    worker = Fake("worker", journal, endings=[1] * 1_000)
    Supervisor([[worker]], passing(300_000)).run()
    assert 12 <= journal.count("start worker") <= 17


def test_a_part_that_lived_long_is_soon_back(passing: Until) -> None:
    """A death after a long life is not the next in a row."""
    assert [backoff_ms(n) for n in (0, 1, 2, 3, 7, 50)] == [500, 500, 1_000, 2_000, 30_000, 30_000]
    journal: list[str] = []
    worker = Fake("worker", journal, endings=[1] * 5 + [None])
    stopping = passing(10 * supervisor.STABLE_MS)
    kept = Supervisor([[worker]], stopping)
    ends = iter([supervisor.STABLE_MS + 1_000.0])

    def exit_code() -> int | None:
        if worker.ending is None and clock.monotonic_ms() > next(ends, float("inf")):
            return 1
        return worker.ending

    worker.exit_code = exit_code  # type: ignore[method-assign]
    assert kept.run() == 0
    assert journal.count("start worker") >= 6


def test_a_restart_that_fails_is_tried_again(passing: Until) -> None:
    """Redis may not come back at the first try."""
    journal: list[str] = []
    redis = Fake("redis", journal, endings=[1, None])
    run = Supervisor([[redis]], passing(20_000))

    def ends() -> int | None:
        if redis.ending == 1:
            redis.refusals, redis.ending = 2, 1
        return redis.ending

    redis.exit_code = ends  # type: ignore[method-assign]
    assert run.run() == 0
    assert journal.count("start redis") == 4


def test_wrong_settings_end_everything(passing: Until) -> None:
    """No restart fixes them."""
    journal: list[str] = []
    parts = [[Fake("redis", journal)], [Fake("worker", journal, endings=[2])]]
    assert Supervisor(parts, passing(10 * CHECK_MS)).run() == 2
    assert journal == ["start redis", "start worker", "stop redis"]


def test_settings_that_went_wrong_later_stop_no_running_part(passing: Until) -> None:
    """One of two dies after a long life, and finds the file broken: the other is left alone."""
    journal: list[str] = []
    one, other = Fake("one", journal), Fake("other", journal)
    began_ms = clock.monotonic_ms()

    endings = iter([1])

    def exit_code() -> int | None:
        lived_ms = clock.monotonic_ms() - began_ms
        return None if lived_ms <= supervisor.STABLE_MS + 1_000 else next(endings, 2)

    one.exit_code = exit_code  # type: ignore[method-assign]
    assert Supervisor([[one, other]], passing(3 * supervisor.STABLE_MS)).run() == 0
    assert journal.count("start one") > 3
    assert journal.count("start other") == 1


def test_a_part_that_had_to_be_killed_is_exit_code_1(passing: Until) -> None:
    """The others are stopped all the same."""
    journal: list[str] = []
    parts = [[Fake("redis", journal)], [Fake("worker", journal, clean=False)]]
    assert Supervisor(parts, passing(1_000)).run() == 1
    assert journal[-1] == "stop redis"


def test_a_part_that_cannot_start_at_first_stops_the_others(passing: Until) -> None:
    """The reason is raised."""
    journal: list[str] = []
    parts = [[Fake("redis", journal)], [Fake("worker", journal, refusals=2)]]
    with pytest.raises(CancelWorkerError, match="not now"):
        Supervisor(parts, passing(1_000)).run()
    assert journal == ["start redis", "start worker", "stop redis"]


def test_the_longest_pause_is_bounded() -> None:
    """However often it fails."""
    assert max(backoff_ms(n) for n in range(2_000)) == BACKOFF_MAX_MS


@pytest.mark.parametrize("name", CREDENTIALS)
def test_the_web_process_gets_no_credentials(name: str) -> None:
    """Not even by a file's path; what else is set of an account stays."""
    kept = {"WORKER_ACCOUNTS__OK__EXCHANGE": "okx", "WORKER_REDIS_URL": "redis://h"}
    variable = f"WORKER_ACCOUNTS__OK__{name.upper()}"
    assert without_secrets({variable: "s", f"{variable}_FILE": "/s", **kept}) == kept
