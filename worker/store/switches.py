"""Countdown switches in Redis: a desired state that strategies move and workers keep.

Each change is one script on Redis time. A switch whose deadline has passed is
tripped by whichever script sees it first, and in that same step the cancels of
its scope are accepted as jobs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from worker.model.limits import Grant, Rule
from worker.model.names import is_switch_lane
from worker.model.switches import (
    Armed,
    Beaten,
    Clearing,
    Launch,
    LaunchVerdict,
    NativeSwitch,
    PairsReply,
    Release,
    Report,
    SwitchRecord,
    SwitchState,
)
from worker.store.connection import Store, unavailable
from worker.store.limiter import rule_args
from worker.store.steps import carried
from worker.store.switch_steps import (
    arming,
    beating,
    disarming,
    finding_name,
    reading_switch,
    reading_switches,
    recent_switches,
    tracking,
)

TELL_AGAIN_MS = 30_000
LIVE_MAX = 1_000


class Switches:
    """The switches in one Redis.

    Every method raises `StoreUnavailable` when Redis does not answer; what it
    was asked may or may not have been done, and asking again is safe.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.carry = store.carry
        """Carries out a procedure; returns what it returns."""

    arm = carried(arming)
    beat = carried(beating)
    disarm = carried(disarming)

    def disarm_pairs(
        self,
        lane: str,
        pairs: Sequence[str],
        bell: tuple[str, str],
        *,
        sent_ms: int,
        message: str,
        again: bool,
    ) -> tuple[PairsReply, str, str]:
        """End the switch of exactly these pairs; see `disarm_pairs.lua`.

        Returns:
            The reply, a switch, and the pairs of one that overlaps.
        """
        head = (lane, *bell, sent_ms, message, int(again))
        named = sorted(set(pairs))
        answer = self._store.run("disarm_pairs", *head, *named, promised=True)
        reply, switch_id, pairs = (*map(str, answer), "")[:3]
        return PairsReply(reply), switch_id, pairs

    track = carried(tracking)

    def survey(
        self, lane: str, holder: str = "", *, every: bool = False
    ) -> tuple[int, list[NativeSwitch]]:
        """Return Redis time and the switches of a lane whose timers the exchange holds.

        From its holder, the hold is made to last until the first request from here.

        Args:
            lane: Of switches.
            holder: The worker's name; empty for none.
            every: All of them, also those that are not due.
        """
        now, *rows = self._store.run("survey", lane, holder, int(every))
        width = 11
        return int(now), [
            NativeSwitch(
                id=row[0],
                epoch=int(row[1]),
                state=SwitchState(row[2]),
                yielded=row[3] == 1,
                timeout_ms=int(row[4]),
                deadline_ms=int(row[5]),
                fires_ms=int(row[6]),
                due=row[7] == 1,
                pairs=tuple(row[8].split(",")),
                outlives=row[9] == 1,
                unsure=row[10] == 1,
            )
            for row in (rows[i : i + width] for i in range(0, len(rows), width))
        ]

    def launch(
        self,
        *,
        lane: str,
        holder: str,
        lease_ms: int,
        urgent: bool,
        flight_ms: int,
        rules: Sequence[Rule],
        members: Sequence[tuple[str, int]],
        dropped: Sequence[tuple[str, int]] = (),
    ) -> Launch:
        """Look a last time and take a rate slot, in one step; see `launch.lua`."""
        member = os.urandom(8).hex()
        head = (lane, holder, lease_ms, int(urgent), member, flight_ms, len(rules))
        flat = [part for switch in (*members, *dropped) for part in switch]
        args = (*head, *rule_args(rules), len(members), *flat)
        answer, *rest = self._store.run("launch", *args)
        verdict = LaunchVerdict(answer)
        if verdict is LaunchVerdict.GO:
            grant = Grant.of(rules, member=member)
            return Launch(verdict, 0, int(rest[0]), int(rest[1]), grant)
        return Launch(verdict, wait_ms=int(rest[0]) if rest else 0)

    def report(
        self,
        lane: str,
        holder: str,
        report: Report | None = None,
        *,
        release: Release | None = None,
    ) -> None:
        """Record what is known of a countdown request, and give the lane up.

        The request's slots are recorded in any case. Where the timer is counts only from
        the lane's holder: another worker may have moved it since.

        Args:
            lane: Of switches.
            holder: The worker's name.
            report: What is known of the last request; None if nothing is.
            release: How the lane is given up; None to keep it.
        """
        told = "" if report is None else json.dumps(_known(report))
        given_up = "" if release is None else json.dumps(asdict(release))
        self._store.run("report", lane, holder, told, given_up)

    def give_up_timers(
        self,
        lane: str,
        holder: str,
        shortest_ms: int,
        keep_ms: int,
        members: Sequence[tuple[str, int]],
        *,
        why: str = "",
    ) -> None:
        """Have workers hold the deadlines of these switches; see `give_up_timers.lua`."""
        flat = [part for switch in members for part in switch]
        head = (lane, holder, shortest_ms, keep_ms, why)
        self._store.run("give_up_timers", *head, *flat)

    def leave_to_workers(self, lane: str, holder: str, switch_ids: Sequence[str]) -> None:
        """Have workers hold switches that share no timer with others; see `leave_out.lua`."""
        self._store.run("leave_out", lane, holder, *switch_ids)

    def register_terms(self, terms: Sequence[tuple[str, int, int, int, int, int, int]]) -> None:
        """Record what the native timers of lanes can keep.

        Args:
            terms: Of each lane: its name, the shortest timeout in ms, the requests in
                1,000 s (0: no bound), the most pairs in one request, how long the
                exchange takes to cancel orders once a timer fires, in ms, 1 if it has
                one timer for the account, with a list of pairs, else 0, and how often
                it fires in a day (0: no bound).
        """
        self._store.run("terms", *(part for lane in terms for part in lane))

    def firings(self, lane: str) -> tuple[int, int]:
        """Return how often a lane's timer has fired today, and how often it may; 0: no bound."""
        count, most = self._store.run("firings", lane)
        return int(count), int(most)

    def next_tripped(self) -> str | None:
        """Return the id of a tripped switch to be reported now.

        Until `told` it is returned again after a while, even if the caller dies.
        """
        return str(self._store.run("next_tripped", TELL_AGAIN_MS)) or None

    def told(self, switch_id: str) -> None:
        """Record that a tripped switch was reported."""
        self._store.run("unlist", "tripped", switch_id)

    def owners(self, lane: str, pairs: Sequence[str]) -> list[str]:
        """Return the switches that hold any of these pairs of the lane's account."""
        return sorted({str(each) for each in self._store.run("owners", lane, *pairs)})

    named = carried(finding_name)
    get = carried(reading_switch)
    recent = carried(recent_switches)

    def live(self, *, limit: int = LIVE_MAX) -> list[SwitchRecord]:
        """Return the switches that workers maintain, nearest deadline first.

        All that are armed, however long ago, and those disarmed whose timer the
        exchange may still hold; of each account at most `limit`.
        """
        client = self._store.client
        with unavailable():
            lanes: Any = client.zrange(self._store.key("lanes"), 0, -1)
            pipe = client.pipeline(transaction=False)
            for lane in lanes:
                if is_switch_lane(lane):
                    pipe.zrange(self._store.key(f"due:{lane}"), 0, limit - 1)
            found: Any = pipe.execute()
        records = self.many(switch_id for ids in found for switch_id in ids)
        return sorted(records, key=lambda record: (not record.live, record.deadline_ms))

    many = carried(reading_switches)


def _known(report: Report) -> dict[str, Any]:
    """Return a report as `report.lua` takes it."""
    known: dict[str, Any] = {}
    if report.grant.slots:
        known = {"grant": report.grant.member, "rules": report.grant.reported_slots()}
        known["arrived"] = report.arrived
    if report.timers is not None:
        known["timers"] = asdict(report.timers)
    return known


__all__ = [
    "Armed",
    "Beaten",
    "Clearing",
    "Launch",
    "NativeSwitch",
    "Release",
    "Report",
    "SwitchRecord",
    "Switches",
]
