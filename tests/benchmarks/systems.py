"""All systems, in the order in which tables show them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.system import ROOT, System, python, script

PEERS = "tests.benchmarks.peers"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
CELERY = python("celery", "-A", f"{PEERS}.celery_peer", "worker")

Commands = Sequence[Sequence[str]]


def _ours(processes: int, _: int) -> Commands:
    command = python("celery", "-A", "worker.celery_app", "worker")
    return [[*command, "-n", f"w{n}@%h"] for n in range(processes)]


def _celery_threads(processes: int, concurrency: int) -> Commands:
    pool = ("--pool=threads", f"--concurrency={concurrency}")
    return [[*CELERY, *QUIET, *pool, "-n", f"w{n}@%h"] for n in range(processes)]


def _celery_prefork(processes: int, concurrency: int) -> Commands:
    return [[*CELERY, *QUIET, "--pool=prefork", f"--concurrency={processes * concurrency}"]]


def _celery_newcomer(_: int, __: int) -> Commands:
    return [CELERY]


def _blmove(processes: int, _: int) -> Commands:
    return [python(f"{PEERS}.blmove")] * processes


def _dramatiq(processes: int, concurrency: int) -> Commands:
    return [
        script(
            "dramatiq",
            f"{PEERS}.dramatiq_peer",
            "--processes",
            str(processes),
            "--threads",
            str(concurrency),
            "--path",
            str(ROOT),
        )
    ]


def _dramatiq_new(_: int, __: int) -> Commands:
    return [script("dramatiq", f"{PEERS}.dramatiq_peer", "--path", str(ROOT))]


def _rq(processes: int, concurrency: int) -> Commands:
    return [python(f"{PEERS}.rq_peer") for _ in range(processes * concurrency)]


def _huey(processes: int, concurrency: int) -> Commands:
    consumer = script("huey_consumer", f"{PEERS}.huey_peer.huey")
    return [[*consumer, "-k", "thread", "-w", str(concurrency), "-q"] for _ in range(processes)]


def _huey_new(_: int, __: int) -> Commands:
    return [script("huey_consumer", f"{PEERS}.huey_peer.huey")]


def _arq(processes: int, _: int) -> Commands:
    return [script("arq", f"{PEERS}.arq_peer.Worker")] * processes


def _taskiq(processes: int, concurrency: int) -> Commands:
    return [
        script(
            "taskiq",
            "worker",
            f"{PEERS}.taskiq_peer:broker",
            "--workers",
            str(processes),
            "--max-async-tasks",
            str(concurrency),
            "--max-prefetch",
            str(concurrency),
            "--log-level",
            "WARNING",
            "--ack-type",
            "when_executed",
        )
    ]


def _taskiq_new(_: int, __: int) -> Commands:
    return [script("taskiq", "worker", f"{PEERS}.taskiq_peer:broker")]


SYSTEMS = (
    System("direct-session", "direct", "session", "floor", None, 1, 1),
    System("direct-raw", "direct", "lean", "floor", None, 1, 1),
    System("blmove-raw-1", "blmove", "lean", "floor", _blmove, 1, 1),
    System("blmove-raw-2", "blmove", "lean", "floor", _blmove, 2, 1),
    System("blmove-session-2", "blmove", "session", "floor", _blmove, 2, 1),
    System("ours-1", "ours", "own", "reliable", _ours, 1, 0),
    System("ours-2", "ours", "own", "reliable", _ours, 2, 0),
    System("celery-threads-1", "celery_peer", "session", "reliable", _celery_threads, 1),
    System("celery-threads-2", "celery_peer", "session", "reliable", _celery_threads, 2),
    System("celery-prefork-2", "celery_peer", "session", "reliable", _celery_prefork, 2, 1),
    System("celery-raw-2", "celery_peer", "lean", "reliable", _celery_threads, 2),
    System("celery-newcomer", "celery_peer", "plain", "newcomer", _celery_newcomer, 2, 1),
    System("dramatiq-1", "dramatiq_peer", "session", "reliable", _dramatiq, 1),
    System("dramatiq-2", "dramatiq_peer", "session", "reliable", _dramatiq, 2),
    System("dramatiq-raw-2", "dramatiq_peer", "lean", "reliable", _dramatiq, 2),
    System("dramatiq-newcomer", "dramatiq_peer", "plain", "newcomer", _dramatiq_new, 2),
    System("rq-2", "rq_peer", "session", "reliable", _rq, 2, 1, most=16),
    System("rq-raw-2", "rq_peer", "lean", "reliable", _rq, 2, 1, most=16),
    System("rq-newcomer", "rq_peer", "plain", "newcomer", _rq, 1, 1, most=16),
    System("huey-2", "huey_peer", "session", "fast", _huey, 2, 4),
    System("huey-raw-2", "huey_peer", "lean", "fast", _huey, 2, 4),
    System("huey-newcomer", "huey_peer", "plain", "newcomer", _huey_new, 1, 1),
    System("arq-2", "arq_peer", "session", "reliable", _arq, 2, 16),
    System("arq-raw-2", "arq_peer", "lean", "reliable", _arq, 2, 16),
    System("arq-newcomer", "arq_peer", "plain", "newcomer", _arq, 1, 10),
    System("taskiq-2", "taskiq_peer", "session", "reliable", _taskiq, 2, 16),
    System("taskiq-raw-2", "taskiq_peer", "lean", "reliable", _taskiq, 2, 16),
    System("taskiq-newcomer", "taskiq_peer", "plain", "newcomer", _taskiq_new, 2, 100),
)
"""A name ends with the number of processes; `raw` has the leanest client."""
BY_NAME = {system.name: system for system in SYSTEMS}
