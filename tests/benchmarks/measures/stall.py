"""What the others feel of an exchange that takes requests and never answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.benchmarks.peers.ours import ALIAS, PAIR
from tests.benchmarks.producer import ProducerProcess
from tests.benchmarks.run import Run
from tests.benchmarks.systems import BY_NAME
from tests.benchmarks.trial import PEERS, Trial, percentile, running
from worker import clock

STALL = "stall"
MEASURES = (STALL,)
OURS = BY_NAME["ours-1"]
ALIAS_OF_DEAD = "bm"
RATE = 100
ROOMY = "{ orders = { max_requests = 1000, window_ms = 1000 } }"
HELD_UP_MS = 1_500
"""Until the stalled jobs hold all the threads that they can get."""


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Yield the URL of a server that takes all connections and says nothing."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in held:
        each.close()


def measure(run: Run) -> None:
    """Measure latency on a live exchange without and with another black-holed."""
    for turn in range(run.plan.rounds):
        run.say(f"round {turn + 1}: one exchange black-holed")
        with black_hole() as url:
            dead = {
                "exchange": "bitmart",
                "base_url": url,
                "api_key": "bench-dead-0123456789",
                "api_secret": "bench-dead-0123456789",
                "memo": "bench-memo",
                "limits": ROOMY,
            }
            folder = run.folder / f"stall-{turn}"
            with running(OURS, folder, run.exchange, accounts={ALIAS_OF_DEAD: dead}) as trial:
                _compare(run, trial)


def _compare(run: Run, trial: Trial) -> None:
    count = int(RATE * run.plan.paced_s)
    without = trial.paced(count, RATE).took_ms
    more = {ALIAS: ALIAS_OF_DEAD, PAIR: "btc_usdt"}
    environment = OURS.environment(trial.bench, 0, more)
    log = trial.bench.folder / "stalled.log"
    with ProducerProcess(f"{PEERS}.ours", environment, log) as producer:
        producer.many("900", run.plan.stalled)
    clock.sleep_ms(HELD_UP_MS)
    beside = trial.paced(count, RATE).took_ms
    for name, took in (("without", without), ("beside the stalled", beside)):
        figures = {"p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)}
        run.results.add(STALL, name, {**figures, "max_ms": took[-1]})
