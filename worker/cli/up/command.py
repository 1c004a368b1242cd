"""`up`: run workers, beat and Redis on one machine, under one supervisor."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, resources
from worker.cli.errors import MISUSED, CliError
from worker.cli.signal_event import SignalEvent
from worker.cli.up import first_run
from worker.errors import StoreUnavailable

if TYPE_CHECKING:
    import threading

    from worker.cli.up.children import RedisChild
    from worker.cli.up.supervisor import Child
    from worker.config.settings import Settings

CONNECT_S = 0.5
HIGHEST_PORT = 65_535
NEXT_PORTS = 20
"""Ports that are tried after `web.port`."""
WORKERS_DEFAULT_MAX = 4
WORKERS_MAX = 16
REDIS_FOLDER = "redis"
SIMULATOR_FOLDER = "simulator"
"""A folder of its own, so that no real job is sent to a simulated exchange."""


def workers_by_default() -> int:
    """Return one worker per usable core, at most `WORKERS_DEFAULT_MAX`."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(cores, WORKERS_DEFAULT_MAX)


def up(
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=WORKERS_MAX,
            default_factory=workers_by_default,
            show_default=f"one per core, at most {WORKERS_DEFAULT_MAX}",
            help="Number of worker processes.",
        ),
    ],
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Run an embedded Redis, even if another one answers.")
    ] = False,
    data_dir: Annotated[
        Path,
        typer.Option(
            "--data-dir", metavar="PATH", help="Folder for the data of the embedded Redis."
        ),
    ] = Path("data"),
    simulator: Annotated[
        bool,
        typer.Option("--simulator", help="Use simulated exchanges, accounts and Redis."),
    ] = False,
    web: Annotated[
        bool | None,
        typer.Option(
            "--web/--no-web",
            help="Serve the HTTP API and the control page; default: if cancel-worker[web] is "
            "installed.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run workers, beat, the page and a Redis until Ctrl-C.

    Redis is started if none answers. A process that dies is restarted. All logs go to
    standard error.
    """
    from worker.cli.up.simulated import simulated  # noqa: PLC0415  slow

    stopping, hurry = _on_signals()
    redis: AbstractContextManager[RedisChild | None]
    if simulator:
        redis = simulated(data_dir / SIMULATOR_FOLDER)
    else:
        settings = _ready_settings()
        folder = data_dir / REDIS_FOLDER
        needed = embedded or _lacks_redis(settings, folder)
        redis = _embedded(settings, folder) if needed else nullcontext()
    with redis as child:
        code = _supervise(child, workers, _web_wanted(web), stopping, hurry)
    if code:
        raise typer.Exit(code)


def _on_signals() -> tuple[threading.Event, threading.Event]:
    """Return two events: the first signal sets the first, the next one the second."""
    stopping, hurry = SignalEvent(), SignalEvent()

    def on_signal(_number: int, _frame: object) -> None:
        (hurry if stopping.is_set() else stopping).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    return stopping, hurry


def _ready_settings() -> Settings:
    """Return settings that a worker can start with.

    Raises:
        SettingsError: A worker could not start with them.
        CliError: No account is configured.
    """
    from worker.factory import build_sessions  # noqa: PLC0415  slow

    settings = resources.open_settings()
    if not settings.accounts:
        output.say(first_run.example())
        raise CliError(first_run.ADVICE, code=MISUSED)
    build_sessions(settings)
    return settings


def _lacks_redis(settings: Settings, folder: Path) -> bool:
    """Return whether a Redis must be embedded.

    Raises:
        StoreUnavailable: One is configured or listening, but does not answer us.
    """
    from worker.cli.up.data_folder import PORT_FILE  # noqa: PLC0415  slow
    from worker.store.listing import Listing  # noqa: PLC0415  slow

    chosen = "redis_url" in settings.model_fields_set or settings.redis_url_file is not None
    if not chosen and (folder / PORT_FILE).exists():
        return True  # a run that was killed has left its Redis running
    try:
        Listing(resources.open_store(settings)).now_ms()
    except StoreUnavailable:
        if chosen or _listens(settings):
            raise
        return True
    return False


@contextmanager
def _embedded(settings: Settings, folder: Path) -> Iterator[RedisChild]:
    from worker.cli.up.children import RedisChild  # noqa: PLC0415  slow
    from worker.cli.up.data_folder import locked, stop_leftover  # noqa: PLC0415  slow

    if settings.redis_url_file is not None:
        raise CliError("--embedded and redis_url_file exclude each other; remove one", code=MISUSED)
    with locked(folder):
        stop_leftover(folder)
        redis = RedisChild(folder, port=None if _listens(settings) else _port(settings))
        if redis.url != settings.redis_address:
            output.say(f"export WORKER_REDIS_URL={redis.url}")
        os.environ["WORKER_REDIS_URL"] = redis.url
        yield redis


def _web_wanted(asked: bool | None) -> bool:
    return importlib.util.find_spec("fastapi") is not None if asked is None else asked


def _supervise(
    redis: RedisChild | None,
    workers: int,
    web: bool,
    stopping: threading.Event,
    hurry: threading.Event,
) -> int:
    from worker.cli.up.children import beat_child, web_child, worker_child  # noqa: PLC0415  slow
    from worker.cli.up.supervisor import Supervisor  # noqa: PLC0415  slow
    from worker.factory import secrets_of  # noqa: PLC0415  slow
    from worker.telemetry import logs  # noqa: PLC0415  slow
    from worker.telemetry.health import url  # noqa: PLC0415  slow

    settings = resources.open_settings()
    logs.set_up(settings.worker.log_level, secrets_of(settings))
    ports, beat_port = _ports(settings, workers)
    environment = {**os.environ, **_variable("BEAT_PORT", beat_port)}
    bound_ms = settings.worker.shutdown_ms
    running: list[Child] = [
        worker_child(
            number, {**environment, **_variable("PORT", port)}, shutdown_ms=bound_ms, hurry=hurry
        )
        for number, port in enumerate(ports, start=1)
    ]
    running.append(beat_child(environment, hurry=hurry))
    page_port = _page_port(settings) if web else None
    if web:
        given = {"WORKER_WEB__PORT": str(page_port)} if page_port else {}
        running.append(web_child({**environment, **given}, hurry=hurry))

    def announce() -> None:
        data = f", data in {redis.folder}" if redis else ""
        output.say(f"redis     {resources.redis_place(settings)}{data}")
        for name, port in (*(("worker", port) for port in ports), ("beat", beat_port)):
            if port:
                output.say(f"{name:9} {url(settings.metrics.host, port)}")
        if page_port:
            output.say(f"page      {url(settings.web.host, page_port)}")
            output.say("login     a token: cancel-worker token create NAME")
        output.say("running   until Ctrl-C")
        sys.stdout.flush()

    supervisor = Supervisor([[redis], running] if redis else [running], stopping)
    try:
        return supervisor.run(on_started=announce)
    except StoreUnavailable as error:
        raise CliError(str(error)) from None


def _ports(settings: Settings, workers: int) -> tuple[list[int | None], int | None]:
    """Return the ports of workers and beat; a restarted process keeps its port."""
    from worker.net.sockets import free_port  # noqa: PLC0415  slow
    from worker.telemetry.health import ports_of  # noqa: PLC0415  slow

    of_worker, of_beat = ports_of(settings, "worker"), ports_of(settings, "beat")
    chosen: list[int | None] = []
    for wanted in (of_worker, of_beat, *[of_worker] * (workers - 1)):
        left = [port for port in wanted if port not in chosen]
        chosen.append(free_port(settings.metrics.host, left))
    first, beat_port, *others = chosen
    return [first, *others], beat_port


def _page_port(settings: Settings) -> int | None:
    """Return the port of the page, which a restarted process keeps."""
    from worker.net.sockets import free_port  # noqa: PLC0415  slow

    wanted = settings.web.port
    last = min(HIGHEST_PORT, wanted + NEXT_PORTS)
    return free_port(settings.web.host, [*range(wanted, last + 1)]) if wanted else None


def _variable(name: str, port: int | None) -> dict[str, str]:
    return {f"WORKER_METRICS__{name}": str(port)} if port else {}


def _port(settings: Settings) -> int | None:
    """Return the port of `redis_url` if it is on loopback, else None."""
    from worker.config.accounts import LOOPBACK  # noqa: PLC0415  slow
    from worker.store.address import parse  # noqa: PLC0415  slow

    address = parse(settings.redis_address)
    if address.master or not address.hosts:
        return None
    host, port = address.hosts[0]
    return port if host in LOOPBACK else None


def _listens(settings: Settings) -> bool:
    """Return whether a process listens on the port of `redis_url`."""
    port = _port(settings)
    if port is None:
        return False
    with socket.socket() as sock:
        sock.settimeout(CONNECT_S)
        return sock.connect_ex(("127.0.0.1", port)) == 0
