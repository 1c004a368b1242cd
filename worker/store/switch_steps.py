"""What strategies ask of switches, as procedures; see `Switches`.

Each change is one script on Redis time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from worker.model.constants import TRACK_MAX
from worker.model.switch_scopes import shown_items
from worker.model.switches import Armed, Beaten, Clearing, SwitchRecord, SwitchReply
from worker.store.steps import Key, Latest, Steps, ask, fields_of, run
from worker.store.switch_records import read_record

Mode = Literal["arm", "touch", "again"]


def arming(
    *,
    switch_id: str,
    lane: str,
    account: str,
    native: bool,
    pairs: Sequence[str],
    order_ids: Sequence[str],
    timeout_ms: int,
    bell: tuple[str, str],
    mode: Mode = "arm",
    sent_ms: int = 0,
    shortest_ms: int = 0,
    budget: int = 0,
    by_workers: str = "",
    partly: str = "",
    name: str = "",
    replace_named: bool = False,
    order_pair: str = "",
    stops: str = "",
) -> Steps[Armed]:
    """Arm a scope; but with mode `arm` an armed one keeps its epoch; see `arm.lua`.

    Pairs and order ids are names as in `worker.model.switch_scopes`. The one
    pair `EVERYTHING` is the whole account.
    """
    pairs, order_ids = sorted(set(pairs)), sorted(set(order_ids))
    most = len(order_ids) if replace_named else TRACK_MAX  # in one step, none uncovered
    order_ids, more = order_ids[:most], order_ids[most:]
    kind = (lane, account, int(native))
    naming = (name, int(replace_named))
    terms = (shortest_ms, budget, by_workers, partly, *naming, order_pair, stops, len(pairs))
    args: list[str | int] = [switch_id, *kind, timeout_ms, mode, sent_ms, *bell, *terms]
    args += [*pairs, *order_ids]
    answer = yield run("arm", *args, promised=True)
    if answer[0] == "stale":
        return Armed("")
    if answer[0] == "overlap":
        by_name = len(answer) > 3  # noqa: PLR2004  see `arm.lua`
        return Armed(answer[1], overlaps=shown_items(answer[2]).strip(), named=by_name)
    if answer[0] == "clearing":
        pair, wait_ms, job_id, detail = answer[1:5]
        return Armed("", clearing=Clearing(shown_items(pair), int(wait_ms), job_id, detail))
    armed = Armed(
        answer[1],
        int(answer[2]),
        int(answer[3]),
        waiting=answer[0] == "waiting",
        native=answer[4] == "1",
        held_why=answer[5],
    )
    if not more:
        return armed
    reply, other = yield from tracking(
        armed.switch_id, armed.epoch, more, add=True, order_pair=order_pair
    )
    if not other:
        return replace(armed, reply=reply)
    if armed.epoch == 1:
        yield from disarming(armed.switch_id, armed.epoch, bell)
    return Armed(other, overlaps="some of its order ids")


def beating(
    switch_id: str,
    epoch: int,
    bell: tuple[str, str],
    *,
    since_ms: float | None = None,
) -> Steps[Beaten]:
    """Move the deadline on; one Redis call. Epoch 0 is any.

    Args:
        switch_id: Of the switch.
        epoch: Of its holder.
        bell: See `beat.lua`.
        since_ms: When the deadline counts from, on the local clock, if that is
            before the call.
    """
    since = 0
    if since_ms is not None:
        since = yield Latest(since_ms)
        if not since:  # nothing is known of shared time yet
            yield run("time")
            since = yield Latest(since_ms)
    reply, left, in_time, current = yield run("beat", switch_id, epoch, *bell, since)
    return Beaten(SwitchReply(reply), int(left), in_time == 1, int(current))


def disarming(switch_id: str, epoch: int, bell: tuple[str, str]) -> Steps[SwitchReply]:
    """End a switch without canceling. Epoch 0 is any."""
    args = (switch_id, epoch, *bell)
    reply, _ = yield run("disarm", *args, promised=True)
    return SwitchReply(reply)


def tracking(
    switch_id: str, epoch: int, order_ids: Iterable[str], *, add: bool, order_pair: str = ""
) -> Steps[tuple[SwitchReply, str]]:
    """Add or take out orders by their names; return the reply and the switch overlapped.

    Of very many, those before one that overlaps may have been added.
    """
    head = (switch_id, epoch, "track" if add else "untrack", order_pair)
    ids, reply, other = [*order_ids], SwitchReply.ARMED, ""
    for first in range(0, max(1, len(ids)), TRACK_MAX):
        part = ids[first : first + TRACK_MAX]
        answer, other = yield run("track", *head, *part, promised=True)
        reply = SwitchReply(answer)
        if reply is not SwitchReply.ARMED:
            break
    return reply, str(other)


def finding_name(lane: str, name: str) -> Steps[str]:
    """Return the id of the live switch of the lane's account with this name, or ""."""
    return str((yield run("named", lane, name)))


def reading_switch(switch_id: str) -> Steps[SwitchRecord | None]:
    """Return a switch, or None if there is none or it has been forgotten."""
    found = yield from reading_switches([switch_id])
    return found[0] if found else None


def recent_switches(*, limit: int, skip: int = 0) -> Steps[list[SwitchRecord]]:
    """Return switches, those changed last ahead, from `limit` places after `skip`."""
    (ids,) = yield ask(("ZREVRANGE", Key("switches"), skip, skip + limit - 1))
    return (yield from reading_switches(ids))


def reading_switches(ids: Iterable[str]) -> Steps[list[SwitchRecord]]:
    """Return the switches of these ids that there are."""
    commands: list[tuple[str, Key]] = []
    for switch_id in ids:
        commands.append(("HGETALL", Key(f"switch:{switch_id}")))
        commands += [
            ("SMEMBERS", Key(f"switch:{switch_id}:{part}")) for part in ("orders", "released")
        ]
    answers = (yield ask(*commands)) if commands else []
    rows = zip(answers[::3], answers[1::3], answers[2::3], strict=True)
    return [
        read_record(fields_of(fields), {*orders, *released})
        for fields, orders, released in rows
        if fields
    ]
