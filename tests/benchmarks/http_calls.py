"""What HTTP adds to a cancel, and how many heartbeats one core serves.

Run: `uv run python -m tests.benchmarks.http_calls` (`--profile` also prints where the web
process spends its time under heartbeats)

Redis and `cancel-worker web` are processes of their own. Cancels are measured in turns,
`Producer.cancel` and `POST /v1/cancels`, so that both meet the same load of the machine. Beats
are sent by other processes to one secret address each; what is counted is the processor time
of the web process.
"""

from __future__ import annotations

import argparse
import cProfile
import http.client
import json
import os
import pstats
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.polling import eventually
from tests.support.world import World, open_world
from worker import clock
from worker.config.settings import load_settings
from worker.model.authority import Verb
from worker.store.api_tokens import ApiTokens
from worker.store.embedded import own_port
from worker.web.server import Server

CALLS = 1_000
WARM = 50
ADDED_MAX_MS = 2.0
CLIENTS = 3
BEAT_S = 6
UNLIMITED = 1_000_000
SHOWN = 25
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print; with hidden options, be one of the processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=BEAT_S)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if options.client:
        url, path = options.client
        sys.stdout.write(f"{beat_for(url, path, options.seconds)}\n")
        return
    with open_world() as world, Served(world) as web:
        added = cancels(world, web, options.calls)
        beats(web, options.seconds)
        if options.profile:
            web.stop()
            profile(world, options.seconds)
    sys.exit(added > ADDED_MAX_MS)


class Served:
    """`cancel-worker web` as a process, and a connection to it.

    Args:
        world: Where its Redis is.
        profile: Where it writes what it spent its time on.
    """

    def __init__(self, world: World, *, profile: Path | None = None) -> None:
        port = own_port()
        tables = {
            "web": {"port": port, "requests_per_s": UNLIMITED},
            "metrics": {"web_port": 0},
        }
        serving = ["worker", "web"]
        if profile:
            serving = ["tests.benchmarks.http_calls", "--serve", str(profile)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *serving],
            env={**os.environ, "WORKER_CONFIG": str(world.config(**tables))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        name = f"bench-{port}"
        token = ApiTokens(world.store()).create(name, now_ms=1, verbs=frozenset(Verb))
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        eventually(self._answers, within_ms=30_000)

    def __enter__(self) -> Self:
        """Return the process, which serves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """Stop it, as an operator does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def post(self, path: str, body: Any) -> Any:
        """Return the answer to a POST."""
        self._connection.request("POST", path, json.dumps(body), self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status not in (200, 201, 202):
            raise RuntimeError(f"{reply.status} {text!r}")
        return json.loads(text)

    def processor_s(self) -> float:
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def _answers(self) -> bool:
        try:
            self._connection.request("GET", "/v1/status", headers=self._headers)
            return self._connection.getresponse().read() != b""
        except OSError:
            self._connection.close()
            return False


def cancels(world: World, web: Served, count: int) -> float:
    """Measure cancels both ways; return what HTTP adds to the median, in ms."""
    producer = world.producer()
    took: dict[str, list[float]] = {"Producer.cancel": [], "POST /v1/cancels": []}
    for number in range(WARM + count):
        began = clock.monotonic_ms()
        producer.cancel("ev", f"p{number}")
        middle = clock.monotonic_ms()
        web.post("/v1/cancels", {"account": "ev", "order_id": f"h{number}"})
        ended = clock.monotonic_ms()
        if number >= WARM:
            took["Producer.cancel"].append(middle - began)
            took["POST /v1/cancels"].append(ended - middle)
    medians = []
    for name, each in took.items():
        cuts = statistics.quantiles(each, n=100)
        medians.append(cuts[49])
        sys.stdout.write(
            f"{name:18} p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms\n"
        )
    added = medians[1] - medians[0]
    verdict = "holds" if added <= ADDED_MAX_MS else "FAILS"
    sys.stdout.write(f"HTTP adds {added:.2f} ms to the median (≤ {ADDED_MAX_MS} ms): {verdict}\n")
    return added


def beats(web: Served, seconds: float) -> None:
    """Measure heartbeats by secret addresses, and print how many a core serves."""
    before = web.processor_s()
    sent = send_beats(web, seconds)
    used = web.processor_s() - before
    sys.stdout.write(
        f"{sent / seconds:.0f} beats a second from {CLIENTS} clients; "
        f"{sent / used:.0f} beats a second and core of the web process\n"
    )


def send_beats(web: Served, seconds: float) -> int:
    """Send heartbeats from several processes; return how many were answered."""
    started = str(clock.now_ms())
    clients = []
    for number in range(CLIENTS):
        order = f"beat-{started}-{number}"
        call = {"account": "ev", "order_ids": [order], "timeout_ms": 3_600_000}
        path = web.post("/v1/switches", call)["beat_url"]
        command = ["--seconds", str(seconds), "--client", web.url, path]
        clients.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.http_calls", *command],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    return sum(int(each.communicate()[0]) for each in clients)


def beat_for(url: str, path: str, seconds: float) -> int:
    """Send heartbeats one after the other for some time; return how many were answered."""
    connection = http.client.HTTPConnection(str(urlsplit(url).netloc))
    until, sent = clock.monotonic_ms() + seconds * 1_000, 0
    while clock.monotonic_ms() < until:
        connection.request("POST", path)
        reply = connection.getresponse()
        reply.read()
        if reply.status != 200:
            raise RuntimeError(str(reply.status))
        sent += 1
    return sent


def serve(file: Path) -> None:
    """Serve until a signal; then write what that spent its time on."""
    server = Server(load_settings())
    profiler = cProfile.Profile()
    profiler.runcall(server.run, lambda: None)
    profiler.dump_stats(file)


def profile(world: World, seconds: float) -> None:
    """Print where the web process spends its time under heartbeats."""
    file = world.folder / "web.profile"
    with Served(world, profile=file) as web:
        send_beats(web, seconds)
    pstats.Stats(str(file), stream=sys.stdout).sort_stats("tottime").print_stats(SHOWN)


if __name__ == "__main__":
    main()
