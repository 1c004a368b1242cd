"""How commands are put into bytes."""

from __future__ import annotations

from typing import Any

from redis.connection import HiredisRespSerializer


class Packer(HiredisRespSerializer):
    """Writes any text: hiredis refuses halves of surrogate pairs, which JSON may hold."""

    def pack(self, *args: Any) -> Any:  # noqa: ANN401  redis-py's signature
        """Return the bytes of a command."""
        try:
            return super().pack(*args)
        except UnicodeEncodeError:
            return super().pack(*[_writable(arg) for arg in args])


def _writable(arg: Any) -> Any:  # noqa: ANN401  text, bytes or a number
    return arg.encode(errors="replace") if isinstance(arg, str) else arg
