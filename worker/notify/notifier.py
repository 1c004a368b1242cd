"""The thread that notifies: one process of a deployment sends at a time.

What is to be sent is in Redis before it is sent, and stays there until it was delivered.
A sender that dies in between costs a repeat, never a message.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import threading
from dataclasses import asdict, dataclass
from typing import Any

from worker import clock
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.factory import secrets_of
from worker.model.notices import ADVICE, EVENTS, Notice
from worker.net.process import process_name
from worker.notify.down import RedisDown
from worker.notify.facts import Cursor, Facts, Seen
from worker.notify.outages import Message, Outage, step
from worker.notify.targets import Delivery, Target, digest, require_apprise, targets_of
from worker.store.notices import RAISED_MAX, Notices
from worker.store.opening import build_store
from worker.telemetry import alerts
from worker.telemetry.logs import Mask

log = logging.getLogger(__name__)

TICK_MS = 1_000
DIGEST_MAX = 50
"""Messages that go out as one."""
BURST, BURST_MS = 5, 60_000
"""Messages to one target in this time; further ones are collected into a digest."""
RETRY_MS, RETRY_MAX_MS = 2_000, 300_000
OBSERVED = frozenset({"dead letter", "malformed message", "redis not durable", "switch tripped"})
"""Alerts that are observed in Redis instead: no death of a process loses them there."""
BEAT = "beat "
"""Begins a holder's name in Celery beat, from which a worker takes over: it may read more."""


@dataclass(slots=True)
class _Line:
    """What is known of one target's deliveries. Times are local monotonic ms."""

    failures: int = 0
    next_ms: float = 0.0
    sent_ms: tuple[float, ...] = ()


class Notifier:
    """Notifies of what goes wrong, from a thread of its own; attempts never wait for it.

    Args:
        settings: With at least one address, or the thread does not start.
        role: `worker` or `beat`.

    Raises:
        SettingsError: A file of addresses cannot be read, or holds something else.
        ExtraMissing: There are addresses, and apprise is not installed.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self.name = f"{role} {process_name()}"
        self._mask = Mask(secrets_of(settings))
        self._targets = targets_of(settings.notify)
        if self._targets:
            require_apprise()
        self._delivery = Delivery(self._mask)
        store = build_store(settings)
        self._notices = Notices(store)
        self._facts = Facts(store, probes=not self.name.startswith(BEAT))
        self._down = RedisDown(settings.redis_address + settings.key_prefix)
        self._raised: collections.deque[str] = collections.deque(maxlen=RAISED_MAX)
        self.lines: dict[str, _Line] = collections.defaultdict(_Line)
        self._own: list[tuple[Target, dict[str, Any]]] = []
        """Messages about an outage of Redis, which cannot hold them."""
        self._sends = False
        self._failed = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)

    def start(self) -> None:
        """Start the thread, if there is an address."""
        if self._targets:
            alerts.listen(self.note)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after what it is sending; let another process send."""
        if not self._targets:
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._flush()
            self._notices.release(self.name)
        except StoreUnavailable:
            log.warning("Redis is down: alerts that were not recorded are only in the log")

    def note(self, kind: str, message: str, context: dict[str, object]) -> None:
        """Remember an alert of this process; called in the thread that raised it."""
        if kind in OBSERVED or kind not in EVENTS:
            return
        account, exchange = (str(context.get(name) or "") for name in ("account", "exchange"))
        notice = Notice(kind, self._mask(message), account, exchange)
        self._raised.append(json.dumps(asdict(notice)))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
            except Exception:
                log.exception("the notifier crashed; it continues")
            clock.wait_ms(self._stopping, TICK_MS)

    def tick(self) -> None:
        """Observe, record and send once. Errors of Redis are handled here."""
        try:
            self._flush()
            if self._leads():
                self._observe()
            self._failed = ""
            self._say_over()
        except StoreUnavailable as error:
            if str(error) != self._failed:
                log.warning("nothing can be notified through Redis: %s", error)
            self._failed = str(error)
            self._say_down(error)
        self._send_own()
        if self._sends and not self._failed:
            for target in self._targets:
                if not self._stopping.is_set():
                    self._send(target)

    def _flush(self) -> None:
        """Give the alerts of this process to the sender."""
        raised = list(self._raised)
        self._notices.push_alerts(raised)
        for _ in raised:
            self._raised.popleft()

    def _leads(self) -> bool:
        """Return whether this process sends."""
        leads = self._notices.lease(self.name)
        if not leads and not self.name.startswith(BEAT):
            holder = self._notices.holder()
            if holder.startswith(BEAT):
                self._notices.release(holder)
                leads = self._notices.lease(self.name)
        if leads and not self._sends:
            log.info("this process sends the notifications")
        self._sends = leads
        return leads

    def _observe(self) -> None:
        """Read what has happened, and record the messages for it."""
        recorded, raised = self._notices.read()
        seen, outages = read_state(recorded)
        notices, seen, now_ms = self._facts.observe(seen)
        notices += [Notice(**json.loads(each)) for each in raised]
        repeat_ms = self._settings.notify.repeat_ms
        outages, messages = step(outages, notices, now_ms=now_ms, repeat_ms=repeat_ms)
        state = json.dumps({"seen": asdict(seen), "outages": _plain(outages)})
        if state == recorded and not raised:
            return
        rows = [
            (target.id, _row(message, now_ms))
            for message in messages
            for target in self._targets
            if target.wants(message.event, message.account)
        ]
        self._sends = self._notices.commit(self.name, state, len(raised), rows)

    def _send(self, target: Target) -> None:
        """Send what waits for a target, as one message; keep it if it is not delivered."""
        line, now_ms = self.lines[target.id], clock.monotonic_ms()
        recent = tuple(at_ms for at_ms in line.sent_ms if now_ms - at_ms < BURST_MS)
        if now_ms < line.next_ms or len(recent) >= BURST:
            return
        try:
            waiting = self._notices.pending(target.id, limit=DIGEST_MAX)
            if not waiting:
                return
            if not self._notices.lease(self.name):  # the last delivery may have taken long
                self._sends = False
                return
            if self._deliver(target, line, [json.loads(each) for each in waiting]):
                line.sent_ms = (*recent, now_ms)
                self._notices.delivered(target.id, waiting)
        except StoreUnavailable as error:
            log.warning("a message may be sent again: %s", error)

    def _deliver(self, target: Target, line: _Line, rows: list[dict[str, Any]]) -> bool:
        """Send messages as one; return whether they were delivered."""
        title, body = digest([(row["title"], row["body"]) for row in rows])
        over = all(row["over"] for row in rows)
        reason = self._delivery.send(target, title, body, over=over)
        if reason:
            line.failures += 1
            pause_ms = min(RETRY_MAX_MS, RETRY_MS * 2 ** min(line.failures - 1, 20))
            line.next_ms = clock.monotonic_ms() + pause_ms
            log.warning("notification to %s failed, %d waiting: %s", target.id, len(rows), reason)
            return False
        line.failures, line.next_ms = 0, 0.0
        log.info("notified %s: %s", target.id, title)
        return True

    def _say_down(self, error: StoreUnavailable) -> None:
        """Notify that Redis is down, once a host; nothing can be recorded meanwhile."""
        if self._down.due(leads=self._sends):
            body = f"{error}\n{ADVICE['redis down']}"
            self._say({"title": "redis down", "body": body, "over": False})

    def _say_over(self) -> None:
        """Notify that Redis is back, if this process has notified that it was down."""
        if lasted := self._down.over():
            self._say(
                {"title": "recovered: redis down", "body": f"It lasted {lasted}.", "over": True}
            )

    def _say(self, row: dict[str, Any]) -> None:
        self._own += [(target, row) for target in self._targets if target.wants("redis down", "")]

    def _send_own(self) -> None:
        """Send what only this process knows; keep what is not delivered."""
        self._own = [
            (target, row)
            for target, row in self._own
            if clock.monotonic_ms() < self.lines[target.id].next_ms
            or not self._deliver(target, self.lines[target.id], [row])
        ]


def read_state(text: str) -> tuple[Seen | None, dict[str, Outage]]:
    """Return a recorded state; nothing seen yet if there is none, or another version's."""
    try:
        state = json.loads(text)
        seen = state["seen"]
        cursors = (Cursor(**seen["dead"]), Cursor(**seen["ended"]))
        known = {key: Outage(**fields) for key, fields in state["outages"].items()}
        return Seen(*cursors, trips=seen["trips"]), known
    except (ValueError, TypeError, KeyError):
        return None, {}


def _plain(outages: dict[str, Outage]) -> dict[str, Any]:
    return {key: asdict(outage) for key, outage in outages.items()}


def _row(message: Message, now_ms: int) -> str:
    """Return a message as its list in Redis holds it, unlike any other."""
    fields = {"id": os.urandom(6).hex(), "at_ms": now_ms}
    return json.dumps({**fields, **asdict(message)})
