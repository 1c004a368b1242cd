"""Names in Redis that are made of an exchange and an account.

An account's lane is `<exchange>:<account>`, and that of its switches
`<exchange>:<account>:switch`. An exchange is written there, in the names of queues and in
the keys of limits by `key_name`, since a name such as `ccxt:bitvavo` holds a `:`. So neither
part does, and the number of parts distinguishes the kinds, whatever an account is called.
`lua/lib/lanes.lua` has the same rule.
"""

from __future__ import annotations

from typing import Final

SEPARATOR: Final = ":"
_INSTEAD: Final = "."
_SWITCHES: Final = "switch"
_PARTS: Final = 3


def key_name(exchange: str) -> str:
    """Return the name of an exchange as keys and queues have it, without a `:`."""
    return exchange.replace(SEPARATOR, _INSTEAD)


def exchange_name(written: str) -> str:
    """Return the name of an exchange that `key_name` has written."""
    return written.replace(_INSTEAD, SEPARATOR)


def lane_of(exchange: str, account: str) -> str:
    """Return the name of an account's lane."""
    return f"{key_name(exchange)}{SEPARATOR}{account}"


def switch_lane(lane: str) -> str:
    """Return the name of the lane of switches beside an account's lane."""
    return f"{lane}{SEPARATOR}{_SWITCHES}"


def is_switch_lane(lane: str) -> bool:
    """Return whether a lane is one of switches."""
    if not lane.endswith(_SWITCHES):  # most are not
        return False
    parts = lane.split(SEPARATOR)
    return len(parts) == _PARTS and all(parts) and parts[-1] == _SWITCHES


def jobs_lane(lane: str) -> str:
    """Return the account's lane, of it or of the lane of switches beside it."""
    return lane.rpartition(SEPARATOR)[0] if is_switch_lane(lane) else lane


def exchange_of(lane: str) -> str:
    """Return the exchange that a lane belongs to."""
    return exchange_name(lane.partition(SEPARATOR)[0])


def account_of(lane: str) -> str:
    """Return the alias of the account that a lane belongs to."""
    return jobs_lane(lane).partition(SEPARATOR)[2]
