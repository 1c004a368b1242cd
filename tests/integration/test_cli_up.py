"""`up` as a process: everything under one supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.support.pages import get
from tests.support.polling import eventually
from tests.support.world import World
from worker.celery_app import make_app
from worker.cli import main
from worker.cli.simulated import aliases
from worker.cli.up.command import workers_by_default
from worker.cli.up.data_folder import forget_port, locked, remember_port, stop_leftover
from worker.config.settings import Settings, load_settings
from worker.messaging.beat import KEY as BEAT
from worker.store.connection import Store
from worker.store.embedded import EmbeddedRedis, own_port
from worker.store.ledger import Ledger
from worker.store.opening import build_store


class Up:
    """`cancel-worker up` in a folder of its own."""

    def __init__(self, folder: Path, *options: str, workers: int = 1, **environment: str) -> None:
        if "--web" not in options:
            options = (*options, "--no-web")
        self.out, self.err = folder / "up.out", folder / "up.err"
        # A strategy's own files; none of them is imported.
        for name in ("worker", "redis", "logging"):
            (folder / f"{name}.py").write_text("raise SystemExit('the wrong module')")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker", "up", "--workers", str(workers), *options],
                cwd=folder,
                env={"PATH": os.environ["PATH"], **environment},
                stdout=out,
                stderr=err,
            )

    def printed(self, start: str) -> str:
        """Wait for a line of its output; return the rest of that line."""

        def line() -> str:
            assert self.process.poll() is None, self.err.read_text()[-2_000:]
            return next(iter(self.lines(start)), "")

        return eventually(line, what=f"{start} printed")

    def lines(self, start: str) -> list[str]:
        """Return the rest of each line printed by now that begins so."""
        return [
            line.removeprefix(start).strip()
            for line in self.out.read_text().splitlines()
            if line.startswith(start)
        ]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def started() -> Iterator[list[Up]]:
    """What a test has started; none outlives it."""
    ups: list[Up] = []
    yield ups
    for up in ups:
        if up.process.poll() is None:
            up.stop()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WORKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKER_CONFIG", "")
    monkeypatch.chdir(tmp_path)


def worker_pid(ledger: Ledger, *, other_than: int = 0) -> int:
    """Wait for a worker that lives; return its process id."""

    def alive() -> int:
        pids = [int(name.split(":")[1]) for name in ledger.workers()]
        return next((pid for pid in pids if pid != other_than), 0)

    return eventually(alive, within_ms=60_000, what="a worker alive")


def beat_pid(store: Store, *, other_than: int = 0) -> int:
    """Wait for a Celery beat that ticks; return its process id."""

    def ticking() -> int:
        try:
            holder = str(store.client.get(store.key(BEAT)) or ":0")
        except redis.RedisError:  # away for a moment
            return 0
        pid = int(holder.split(":")[1])
        return 0 if pid == other_than else pid

    return eventually(ticking, within_ms=60_000, what="a beat that ticks")


def is_ready(url: str) -> bool:
    """Return whether a process says that it is ready."""
    try:
        return get(url, "/healthz")[0] == 200
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Return whether a process has ended, reaped or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_newcomer_tries_everything_with_one_command(
    started: list[Up],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Orders are canceled; worker, beat and Redis, killed, come back; nothing is left."""
    up = Up(
        tmp_path,
        *("--simulator", "--embedded", "--data-dir", str(tmp_path / "data"), "--web"),
        WORKER_ACCOUNTS__REAL__EXCHANGE="everstrike",
    )
    started.append(up)
    config = up.printed("settings")
    up.printed("running")
    url, beat_url = up.printed("worker"), up.printed("beat")
    assert url != beat_url
    eventually(lambda: is_ready(url) and is_ready(beat_url), within_ms=60_000, what="both ready")
    assert "Log in" in eventually(lambda: served(up.printed("page")), what="the page")
    assert Path(config).stat().st_mode & 0o077 == 0
    orders = {
        alias.rstrip(":"): ids for alias, *ids in (line.split() for line in up.lines("orders"))
    }
    assert {*orders} == {*aliases()} > {"bb", "de", "hl", "wo"}
    for alias, (_, pair) in aliases().items():
        scope = ["--pair", pair, "--side", "buy"]
        arguments = ["cancel", alias, orders[alias][0], *scope, "--wait", "20"]
        assert main(["--config", config, *arguments]) == 0, capsys.readouterr().out

    monkeypatch.setenv("WORKER_CONFIG", config)
    store = build_store(load_settings())
    first, first_beat = worker_pid(Ledger(store)), beat_pid(store)
    os.kill(first_beat, signal.SIGKILL)
    os.kill(first, signal.SIGKILL)
    assert main(["cancel", "ev", orders["ev"][1], "--wait", "20"]) == 0
    second = worker_pid(Ledger(store), other_than=first)
    assert second != first
    eventually(lambda: is_ready(url), within_ms=60_000, what="the page where it was")

    server = redis_pid(store.client)
    os.kill(server, signal.SIGKILL)
    eventually(lambda: main(["jobs", "--json"]) == 0, what="Redis is back")
    assert main(["cancel", "bm", orders["bm"][1], "--wait", "20"]) == 0
    assert redis_pid(store.client) != server

    server = redis_pid(store.client)
    second = worker_pid(Ledger(store), other_than=first)
    beat = beat_pid(store, other_than=first_beat)
    assert up.stop() == 0, up.err.read_text()[-2_000:]
    assert gone(second)
    assert gone(beat)
    assert gone(server)
    assert "Traceback (most recent call last)\n" not in up.err.read_text()


def served(url: str) -> str:
    """Return the login page, or nothing until it is there."""
    try:
        return get(url.rstrip("/"), "/login")[1]
    except OSError:
        return ""


def redis_pid(client: redis.Redis) -> int:
    """Return the process id of a Redis."""
    info = client.info("server")
    assert isinstance(info, dict)
    return int(info["process_id"])


def test_a_real_set_up_with_its_own_redis(
    started: list[Up], tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """--embedded beside a Redis that runs: another port, printed; a second `up` is refused."""
    config = world.config()
    up = Up(tmp_path, "--embedded", WORKER_CONFIG=str(config))
    started.append(up)
    url = up.printed("export WORKER_REDIS_URL=")
    assert url != world.redis_url
    up.printed("running")

    second = Up(tmp_path, "--embedded", WORKER_CONFIG=str(config))
    started.append(second)
    assert second.process.wait(20) == 1
    assert "another `cancel-worker up` is using it" in second.err.read_text()

    (order_id,) = world.place("ev")
    assert main(["--config", str(config), "cancel", "ev", order_id]) == 0
    capsys.readouterr()
    ledger = Ledger(build_store(Settings(redis_url=url)))
    assert ledger.pending(limit=10) == []
    assert (tmp_path / "data" / "redis" / "appendonly.aof").exists()

    # A supervisor that is killed leaves its Redis; the next one takes over.
    store = build_store(Settings(redis_url=url))
    pid, beat = worker_pid(ledger), beat_pid(store)
    server = redis_pid(store.client)
    up.process.kill()
    up.process.wait()
    try:
        third = Up(tmp_path, "--embedded", WORKER_CONFIG=str(config))
        started.append(third)
        third.printed("running")
        assert gone(server)
        assert third.stop(signal.SIGINT) == 0, third.err.read_text()[-2_000:]
    finally:
        for left in (pid, beat):
            os.kill(left, signal.SIGTERM)
    eventually(lambda: gone(pid) and gone(beat), what="what was left behind ended")


def test_several_workers_share_a_machine(started: list[Up], tmp_path: Path, world: World) -> None:
    """Each has a page and a name of its own; one that is killed comes back; all end together."""
    world.tables["metrics"] = {"port": own_port(), "beat_port": own_port()}
    up = Up(tmp_path, workers=3, WORKER_CONFIG=str(world.config()))
    started.append(up)
    up.printed("running")
    urls = [*up.lines("worker"), *up.lines("beat")]
    assert len(set(urls)) == 4

    def ready() -> bool:
        return all(is_ready(url) for url in urls)

    eventually(ready, within_ms=30_000, what="all pages ready")
    ledger = world.ledger()
    eventually(lambda: len(ledger.workers()) == 3, what="three workers alive")
    with closing(make_app(world.settings())) as app:
        nodes = {name.partition("@")[0] for name in app.control.inspect().ping() or {}}
    assert nodes == {"worker1", "worker2", "worker3"}
    first = worker_pid(ledger)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: up.err.read_text().count("restarting it") == 1, what="the death seen")
    assert main(["--config", str(world.config()), "cancel", "ev", *world.place("ev", 2)]) == 0

    def back() -> set[int]:
        pids = {int(name.split(":")[1]) for name in ledger.workers()} - {first}
        return pids if len(pids) == 3 else set()

    pids = eventually(back, within_ms=30_000, what="three workers alive again")
    # A worker is known to Redis a moment before its first look, which makes it ready.
    eventually(ready, within_ms=30_000, what="all pages ready again, where they were")
    assert up.stop() == 0, up.err.read_text()[-2_000:]
    assert all(gone(pid) for pid in pids)


def test_a_worker_runs_on_each_core_by_default() -> None:
    """Of those that this process may use; not on very many."""
    usable = os.sched_getaffinity(0)
    assert workers_by_default() == min(4, len(usable))
    os.sched_setaffinity(0, {min(usable)})
    try:
        assert workers_by_default() == 1
    finally:
        os.sched_setaffinity(0, usable)


def test_a_running_redis_is_used_and_left_alone(
    started: list[Up], tmp_path: Path, world: World, redis_server: EmbeddedRedis
) -> None:
    """A worker alone; stopped before it is ready it ends as cleanly."""
    up = Up(tmp_path, WORKER_CONFIG=str(world.config()))
    started.append(up)
    assert up.printed("redis") == f"127.0.0.1:{redis_server.port}"
    up.printed("running")
    assert up.stop(signal.SIGHUP) == 0, up.err.read_text()[-2_000:]
    assert not (tmp_path / "data").exists()
    assert world.ledger().now_ms() > 0


def test_a_redis_of_others_is_never_stopped(
    tmp_path: Path, redis_server: EmbeddedRedis, own_redis: EmbeddedRedis
) -> None:
    """Only one that keeps its data in the very folder; a port may be another's now."""
    folder = tmp_path / "data"
    with locked(folder):
        remember_port(folder, redis_server.port)
        stop_leftover(folder)
        forget_port(folder)
        stop_leftover(folder)
    assert redis.Redis(port=redis_server.port).ping()
    assert own_redis.process is not None
    with locked(own_redis.folder):
        remember_port(own_redis.folder, own_redis.port)
        stop_leftover(own_redis.folder)
    assert own_redis.process.wait(10) == 0


def test_a_second_signal_ends_a_worker_that_hangs(
    started: list[Up], tmp_path: Path, world: World
) -> None:
    """Nothing is left of it, and the exit code says that it was killed."""
    up = Up(tmp_path, WORKER_CONFIG=str(world.config()))
    started.append(up)
    pid = worker_pid(world.ledger())
    os.kill(pid, signal.SIGSTOP)
    up.process.send_signal(signal.SIGTERM)
    eventually(lambda: "stopping worker" in up.err.read_text())
    assert up.process.poll() is None
    assert up.stop(signal.SIGTERM) == 1
    assert "killing it" in up.err.read_text()
    assert gone(pid)


def test_a_worker_whose_settings_went_wrong_is_not_started_again(
    started: list[Up], tmp_path: Path, world: World
) -> None:
    """Its exit code 2 is that of the whole."""
    config = world.config()
    up = Up(tmp_path, WORKER_CONFIG=str(config))
    started.append(up)
    pid = worker_pid(world.ledger())
    config.write_text("broken")
    os.kill(pid, signal.SIGKILL)
    assert up.process.wait(20) == 2
    assert f"{config}: not valid TOML" in up.err.read_text()
