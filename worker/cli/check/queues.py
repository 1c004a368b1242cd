"""What `check` finds in the lists of plain messages: some that nobody reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from worker import clock
from worker.cli.check.findings import Finding, fail, ok, warn
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.exchanges import EXCHANGES
from worker.store.connection import Store, unavailable
from worker.store.doorbell import BELL, PLAIN_PRIORITIES, queue_key
from worker.store.listing import Listing

DEFAULT_QUEUE = "celery"
STEPS = range(10)
LOOK_MS, LOOKS = 100, 10
"""A message that is still the next one after that long is read by nobody."""
MARKS = ("worker.cancel", "worker.countdown")
DOORBELL = f'"{BELL}":1'
"""As it is in the headers; inside the text of a header the quotes would be escaped."""


def look_at_queues(settings: Settings, store: Store) -> Iterator[Finding]:
    """Look for plain messages that wait where no worker reads, or that none has read."""
    default = settings.key_prefix == Settings.model_fields["key_prefix"].default
    plain = settings.plain_queue or (DEFAULT_QUEUE if default else "")
    own = settings.key_prefix + DEFAULT_QUEUE
    read = [queue_key(own)] + [queue_key(plain, n) for n in PLAIN_PRIORITIES if plain]
    other = [queue_key(name, n) for name in {DEFAULT_QUEUE, plain, own} - {""} for n in STEPS]
    former = [] if default else [queue_key(name, n) for name in EXCHANGES for n in STEPS]
    unread = [key for key in other if key not in read and key != queue_key(own, 9)]
    try:
        waiting = {key: _ours(store, key) for key in [*read, *unread]}
        for key in former:
            with contextlib.suppress(StoreUnavailable):  # a narrow user may not look there
                waiting[key] = _ours(store, key)
        alive = Listing(store).workers()
        stuck = {key for key in read if waiting[key] and not _moves(store, key)}
    except StoreUnavailable as error:
        yield warn("plain messages", f"could not be checked: {error}", "allow this user LRANGE")
        return
    clean = True
    for key in sorted(stuck):
        clean = False
        mend = "see its log, and with which -Q it was started" if alive else "start one"
        detail = f"{waiting[key]} wait in {key!r}, and no worker reads them"
        yield (fail if alive else warn)("plain messages", detail, mend)
    for key in sorted(key for key in [*unread, *former] if waiting.get(key)):
        clean = False
        yield fail(
            "plain messages",
            f"{waiting[key]} for us wait in {key!r}, which no worker of these settings reads",
            "have the client leave priority_steps and the queue as Celery has them, "
            "or name its queue as plain_queue",
        )
    if clean:
        yield ok("plain messages", f"none waits unread; clients send to {plain or own!r}")


def _ours(store: Store, key: str) -> int:
    """Return how many messages wait in a list whose next one is for us, and no doorbell."""
    with unavailable():
        rows: Any = store.client.lrange(key, -1, -1)
        if not rows or not any(mark in rows[0] for mark in MARKS) or DOORBELL in rows[0]:
            return 0
        count: Any = store.client.llen(key)
    return int(count)


def _moves(store: Store, key: str) -> bool:
    """Return whether the next message of a list is soon another."""
    with unavailable():
        first: Any = store.client.lrange(key, -1, -1)
        for _ in range(LOOKS):
            clock.sleep_ms(LOOK_MS)
            if store.client.lrange(key, -1, -1) != first:
                return True
    return False
