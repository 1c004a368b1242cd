"""Constants that Python and the Lua scripts share, each stated here alone.

A Lua file gets one by the line `--- @constant NAME`; see `worker.store.scripts`.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.model.outcomes import Evidence

JOB_FORMAT = 2
"""The newest form of a job's record that this version reads. A record without fields that
came later is still written as 1, which older workers read; see `lib/accepting.lua`."""

PRESENCE_MS = 5_000
"""A worker without a heartbeat for this long is not counted as alive."""

STEP_MS = 500
"""Smallest move of a clock, beyond the time that passed, that counts as a step."""
OTHERS_MS = 1_500
"""A time that a worker continues to use for this long after a step is taken for real."""
LATELY_MS = 60_000
"""How long it matters which workers lived before a step."""

URGENT_GRANTS = 4
"""How many urgent grants go before one that is not urgent and waits."""
OTHERS_SHARE = 10
"""What a reply says is left of a limit counts if it is less than we count by more than this part
of the limit: a request that is on its way may be counted there and no longer here."""
AHEAD_MS = 50
"""How long a process may keep a rate slot before the request that uses it."""
AHEAD_SHARE = 20
"""A process keeps at most this part of a limit for requests of the same kind."""
COME_BACK_MS = 250
"""How late urgent work may come for the slot it has waited for: a sweep, and the way."""

LAG_SHARE = 4
"""A timer that lags by this part of its timeout is renewed, and is late with less left."""
LEFT_SHARE = 2
"""A timer that lags a little is renewed when this part of its timeout is left."""
SLACK_SHARE = 32
"""A lag of up to this part of the timeout is none."""
NEAR_SHARE = 8
"""Switches share a request where that costs none more than this part of its timeout."""

SERIAL_SHARE = 4
"""Longest lease of a job that takes turns with timers: this part of the shortest timeout."""
SERIAL_MIN_MS = 1_000
SERIAL_MAX_MS = 3_000
"""Bounds of that lease; the upper one applies where no timeout is known."""

TEND_MS = 2_000
"""How long a worker that claimed a lane of switches holds it before it has looked at them."""

EXECUTED_MS = 3_000
"""How long after its connection was closed a request that arrived may be carried out."""
FIRED_MS = 200
"""How long an exchange takes to cancel orders once its timer fires."""

EVERYTHING = "*"
"""Stands in a switch's scope for every order of the account. No pair is written like it."""

TRACK_MAX = 2_000
"""Orders of one call at most, so that Redis serves others in between."""

REFUSALS: Mapping[str, str] = {
    Evidence.NO_CANCELS.value: "cancels",
    Evidence.NO_READS.value: "reads",
    Evidence.NO_TOKEN.value: "token",
}
"""What is refused, by what an attempt shows of the account."""
