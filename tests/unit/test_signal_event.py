"""The event that a signal handler may set."""

from __future__ import annotations

import subprocess
import sys
import threading

from worker.cli.signal_event import SignalEvent

INTERRUPTED = """
import signal

from worker.cli.signal_event import SignalEvent

for number in range(20_000):
    event = SignalEvent()
    signal.signal(signal.SIGALRM, lambda *_: event.set())
    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 100))
    while not event.wait(0):
        pass
"""


def test_a_handler_sets_it_while_its_thread_waits() -> None:
    """Wherever the signal interrupts `wait`, the handler returns; `threading.Event` hangs."""
    subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, timeout=60)


def test_all_who_wait_are_woken() -> None:
    """Several threads wait; one call wakes them, and later ones do not wait."""
    event = SignalEvent()
    threads = [threading.Thread(target=event.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert not event.wait(0)
    event.set()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert event.wait()
