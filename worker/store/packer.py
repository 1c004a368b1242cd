"""How commands are put into bytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Any, Protocol

from redis.connection import HiredisRespSerializer


class CommandPacker(Protocol):
    """What redis-py takes as a command packer."""

    def pack(self, *args: Any) -> Any:  # noqa: ANN401  redis-py's signature
        """Return the bytes of a command."""


class Packer(HiredisRespSerializer):
    """Writes any text: hiredis refuses halves of surrogate pairs, which JSON may hold."""

    def pack(self, *args: Any) -> Any:  # noqa: ANN401  redis-py's signature
        """Return the bytes of a command."""
        try:
            return super().pack(*args)
        except UnicodeEncodeError:
            return super().pack(*[_writable(arg) for arg in args])


class PlainPacker:
    """Writes the same bytes without hiredis."""

    def pack(self, *args: Any) -> list[bytes]:  # noqa: ANN401  redis-py's signature
        """Return the bytes of a command."""
        words = [_bytes(word) for word in (*str(args[0]).split(), *args[1:])]
        return [b"".join((b"*%d\r\n" % len(words), *_lengths_and_words(words)))]


def packer() -> CommandPacker:
    """Return the faster packer that is installed."""
    return PlainPacker() if importlib.util.find_spec("hiredis") is None else Packer()


def _lengths_and_words(words: Iterable[bytes]) -> Iterable[bytes]:
    return (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _bytes(word: Any) -> bytes:  # noqa: ANN401  text, bytes or a number
    if isinstance(word, bytes | bytearray | memoryview):
        return bytes(word)
    return str(word).encode(errors="replace")


def _writable(arg: Any) -> Any:  # noqa: ANN401  text, bytes or a number
    return arg.encode(errors="replace") if isinstance(arg, str) else arg
