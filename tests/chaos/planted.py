"""Bugs, planted one at a time to see whether the checker finds them."""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from worker import clock
from worker.client.producer import Producer
from worker.client.ticket import Ticket
from worker.dispatch import attempt as its
from worker.dispatch.batch import BatchRunner
from worker.errors import StoreUnavailable
from worker.messaging.runtime import runtime
from worker.model.decisions import Decision, Done
from worker.model.jobs import Job
from worker.model.outcomes import Outcome, Unproven
from worker.model.settlements import Settlement
from worker.net import sockets
from worker.store import scripts
from worker.store.connection import Store, unavailable
from worker.store.scripts import source
from worker.store.sharedtime import ALWAYS
from worker.store.steps import Run, Steps

RECORD_LATE_MS = 6_000
"""From the acknowledgement of a message until it is recorded."""
SCRIPTS = ("arm", "beat", "register")
LAUNCH = "reserve_slots(p, request, rules_in(p, 9, rules), now)"
JUDGED = "local by, flight, urgent = called_ms(),"
REPORT = "note_arrival(p, report.grant, report.arrived, report.rules, now)"


class Bug(StrEnum):
    """What is done wrong."""

    EARLY_ACK = "acknowledge before recording"
    EARLY_TASK_ACK = "acknowledge a message before recording"
    NOT_FOUND = "judge not found as canceled"
    NO_EPOCH = "heartbeat without epoch check"
    LOCAL_CLOCK = "limiter on the local clock"
    EARLY_OUTCOME = "outcome written before the reply"
    LATE_BYTES = "leave the bytes of a request that was given up to the kernel"
    LATE_BEAT = "count a beat from when Redis runs it"
    LATE_ARM = "run an arming that was given up"
    REORDERED = "forget a disarm that was read before its arming"
    NO_CLEARING = "arm while a former trip still lists"
    SHARED_KEY = "take two aliases of one key for two accounts"
    STEPPED = "follow Redis's clock where it steps"


CLOCK = struct.Struct("<q")
"""What the file of a clock holds: by how many ms it is off."""
STEP_KEY = "chaos:step"
STEPPED_CLOCK = f"""
local function raw_ms()
  local time, step = redis.call('TIME'), redis.pcall('GET', '{STEP_KEY}')
  step = type(step) == 'string' and tonumber(step) or 0
  return time[1] * 1000 + math.floor(time[2] / 1000) + step
end
"""
"""Redis's clock, and by how many ms it has been stepped."""
_GUARD, _DROP_UNSENT_AFTER = sockets.guard, sockets.drop_unsent_after
_VALID = ("if NOW >= valid then", "if false then")
REWRITTEN: Mapping[Bug | None, tuple[tuple[str, str], ...]] = {
    Bug.NO_EPOCH: (("if epoch ~= '0' and switch.epoch ~= epoch then", "if false then"),),
    Bug.LATE_BEAT: (
        _VALID,
        ("local function called_ms() return CALLED", "local function called_ms() return NOW"),
    ),
    Bug.LATE_ARM: (_VALID,),
    Bug.REORDERED: (("sent < last_disarm(p, lane, pair_list)", "false"),),
    Bug.SHARED_KEY: (("if identity == '' then", "if true then"),),
    Bug.STEPPED: (
        ("OFFSET = tonumber(not known.err and known[1] or 0)", "OFFSET = 0"),
        (
            "sure >= ends and called_ms() + STEP_MS >= ends",
            "now >= ends",
        ),
        _VALID,
    ),
    Bug.NO_CLEARING: (("clearing(p, lane, pair_list, now)", "nil"),),
}
"""What is changed in which script."""


def in_worker(bug: Bug) -> None:
    """Plant a bug into this worker process."""
    match bug:
        case Bug.EARLY_TASK_ACK:
            _record_late()
        case Bug.NOT_FOUND:
            _judge_not_found()
        case Bug.LOCAL_CLOCK:
            _limit_by_local_clock()
        case Bug.EARLY_OUTCOME:
            _settle_early()
        case Bug.LATE_BYTES:
            _keep_bytes()
        case Bug.LATE_BEAT | Bug.LATE_ARM | Bug.REORDERED | Bug.SHARED_KEY | Bug.STEPPED:
            _rewrite(Store, *REWRITTEN[bug])
        case Bug.EARLY_ACK | Bug.NO_EPOCH | Bug.NO_CLEARING:
            pass  # these are made where producers and strategies run


def in_producer(bug: Bug | None, producer: Producer) -> Producer:
    """Plant a bug into a producer; return it."""
    if bug is Bug.EARLY_ACK:
        _accept_early(producer)
    if bug in REWRITTEN:
        _rewrite(producer._switches._store, *REWRITTEN[bug])  # noqa: SLF001  planted
    if bug in (Bug.LATE_ARM, Bug.LATE_BEAT):
        _keep_bytes()
    return producer


def out() -> None:
    """Take out what has been planted into this process for all its producers."""
    sockets.guard, sockets.drop_unsent_after = _GUARD, _DROP_UNSENT_AFTER
    scripts.source = source


def step_clock() -> None:
    """Have this process's scripts read a clock of Redis that can be stepped."""
    scripts.source = lambda name: STEPPED_CLOCK if name == "lib/raw_time" else source(name)  # type: ignore[assignment]


def _rewrite(store: Any, *changes: tuple[str, str]) -> None:
    """Change the scripts of a store, or of all stores of this process."""
    text = store.text

    def changed(*args: Any, **options: Any) -> str:
        whole: str = text(*args, **options)
        for old, new in changes:
            whole = whole.replace(old, new)
        return whole

    for old, _ in changes:
        assert any(old in scripts.whole(name, "") for name in SCRIPTS), f"no script holds {old}"
    store.text = changed


def _keep_bytes() -> None:
    """Close connections in order, as usual: the kernel keeps sending."""
    sockets.guard = lambda sock: None  # noqa: ARG005  planted
    sockets.drop_unsent_after = lambda sock, left_ms: None  # noqa: ARG005  planted


def _accept_early(producer: Producer) -> None:
    """Have a producer say that jobs are recorded, and record them when it finds the time."""
    store, verbs = producer._store, producer._verbs  # noqa: SLF001  planted
    cancel_many = verbs.cancel_many

    def record(step: Run) -> None:
        try:
            store.run(step.name, *step.args, promised=step.promised)
        except StoreUnavailable:
            return

    def hasty(
        account: str,
        order_ids: Sequence[str] = (),
        *,
        client_order_ids: Sequence[str] = (),
        **scope: Any,
    ) -> Steps[list[Ticket]]:
        steps = cancel_many(account, order_ids, client_order_ids=client_order_ids, **scope)
        step = next(steps)
        try:
            while not isinstance(step, Run):
                step = steps.send((yield step))
            threading.Thread(target=record, args=(step,), daemon=True).start()
            bells = 2 + 2 * int(step.args[1])
            parts = step.args[bells:]
            width = len(parts) // (len(order_ids) + len(client_order_ids))
            steps.send([word for job_id in parts[::width] for word in (job_id, 1)])
        except StopIteration as done:
            tickets: list[Ticket] = done.value
            return tickets
        raise AssertionError("one chunk of jobs at most")

    verbs.cancel_many = hasty  # type: ignore[method-assign]


def _record_late() -> None:
    # Late, as its door imports the application that is being made here.
    from worker import tasks  # noqa: PLC0415  # noqa: PLC0415
    from worker.messaging import plain_messages  # noqa: PLC0415

    accept = plain_messages.accept_cancel

    def late(*args: Any, **options: Any) -> tuple[str, str]:
        clock.sleep_ms(RECORD_LATE_MS)
        return accept(*args, **options)

    vars(tasks)["accept_cancel"] = late
    tasks.cancel.acks_late = False


def _judge_not_found() -> None:
    decide = its.decide  # type: ignore[attr-defined]  # planted

    def hasty(job: Job, answer: Any, **options: Any) -> Decision:
        if isinstance(answer, Unproven) and answer.missing:
            return Done(Outcome.CANCELED, "not found")
        return decide(job, answer, **options)

    its.decide = hasty  # type: ignore[attr-defined]  # planted


def _limit_by_local_clock() -> None:
    run = Store.run

    def local(self: Store, name: str, *args: str | float, promised: bool = False) -> Any:
        if name not in ("heartbeat", "landed", "launch", "report", "reserve"):
            return run(self, name, *args, promised=promised)
        # Fresh each time, with this process's time written into it.
        local_now = clock.now_ms()
        text = self.text(name)
        assert JUDGED in text or name not in ("launch", "reserve")
        text = text.replace(JUDGED, JUDGED.replace("called_ms()", "now"))
        if name in ("landed", "reserve"):
            now = f"local function raw_ms() return {local_now} end"
            text = text.replace(scripts.source("lib/raw_time"), now)
        for call in {"launch": [LAUNCH], "report": [REPORT]}.get(name, []):
            assert call in text
            text = text.replace(call, call.replace(" now", f" {local_now}"))
        with unavailable():
            return self.client.eval(text, 0, *map(str, (self.prefix, *args, *ALWAYS)))

    Store.run = local  # type: ignore[method-assign]


def _settle_early() -> None:
    attempt = BatchRunner._attempt  # noqa: SLF001  planted

    def hasty(
        self: BatchRunner, jobs: Sequence[Job], now_ms: int, held_ms: int
    ) -> list[Settlement]:
        early = Done(Outcome.CANCELED, "sent")
        runtime().ledger.settle(
            [Settlement(job, early) for job in jobs],
            holder="",
            retention_ms=3_600_000,
            lease_ms=1_000,
            limit=0,
        )
        return [
            replace(settlement, decision=early)
            for settlement in attempt(self, jobs, now_ms, held_ms)
        ]

    BatchRunner._attempt = hasty  # type: ignore[method-assign]  # noqa: SLF001  planted
