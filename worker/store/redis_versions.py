"""What differs between the versions of redis-py that a strategy may have, 5 to 8."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import redis
from redis.connection import AbstractConnection

CHECKS_HEALTH: Final = hasattr(AbstractConnection, "on_connect_check_health")
"""Whether connections log in by `on_connect_check_health`, as from version 6; else `on_connect`."""
NAMELESS: Final[Mapping[str, None]] = MappingProxyType(
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)
"""Options of a connection that does not name its library: two round trips less, and no command
that a least-privilege user is refused."""
_TAKE: Final[tuple[str, ...]] = (
    ("EVALSHA",)
    if inspect.signature(redis.ConnectionPool.get_connection).parameters["command_name"].default
    is inspect.Parameter.empty
    else ()
)


def take_connection(pool: Any) -> Any:  # noqa: ANN401  pools of both kinds
    """Take a connection from a pool of `redis` or `redis.asyncio`."""
    return pool.get_connection(*_TAKE)
