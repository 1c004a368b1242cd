"""Check the queues of plain messages for messages that no worker reads."""

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
"""A message that is still the next one after `LOOKS` reads is not being consumed."""
MARKS = ("worker.cancel", "worker.countdown")
DOORBELL = f'"{BELL}":1'
"""As JSON in the headers; within the text of a header the quotes are escaped."""


def check_queues(settings: Settings, store: Store) -> Iterator[Finding]:
    """Find plain messages in queues that no worker reads, or has stopped reading."""
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
            with contextlib.suppress(StoreUnavailable):  # a least-privilege user may not read it
                waiting[key] = _ours(store, key)
        alive = Listing(store).workers()
        stuck = {key for key in read if waiting[key] and not _moves(store, key)}
    except StoreUnavailable as error:
        yield warn("plain messages", f"could not be checked: {error}", "allow this user LRANGE")
        return
    clean = True
    for key in sorted(stuck):
        clean = False
        fix = "see its log, and the -Q that it was started with" if alive else "start one"
        detail = f"{waiting[key]} wait in {key!r}, and no worker reads them"
        yield (fail if alive else warn)("plain messages", detail, fix)
    for key in sorted(key for key in [*unread, *former] if waiting.get(key)):
        clean = False
        yield fail(
            "plain messages",
            f"{waiting[key]} wait in {key!r}, which no worker with these settings reads",
            "keep Celery's default priority_steps and queue in the client, "
            "or set plain_queue to its queue",
        )
    if clean:
        yield ok("plain messages", f"none is waiting unread; clients send to {plain or own!r}")


def _ours(store: Store, key: str) -> int:
    """Return the length of a queue whose next message is a plain one of ours, else 0."""
    with unavailable():
        rows: Any = store.client.lrange(key, -1, -1)
        if not rows or not any(mark in rows[0] for mark in MARKS) or DOORBELL in rows[0]:
            return 0
        count: Any = store.client.llen(key)
    return int(count)


def _moves(store: Store, key: str) -> bool:
    """Return whether the next message of a queue changes within a second."""
    with unavailable():
        first: Any = store.client.lrange(key, -1, -1)
        for _ in range(LOOKS):
            clock.sleep_ms(LOOK_MS)
            if store.client.lrange(key, -1, -1) != first:
                return True
    return False
