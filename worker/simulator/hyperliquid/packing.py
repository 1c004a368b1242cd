"""MessagePack of actions, from its specification: the shortest form of each value."""

from __future__ import annotations


def _sized(count: int, short: int, short_max: int, longer: tuple[tuple[int, int], ...]) -> bytes:
    """Return what precedes a text, a list or a map of this size."""
    if count <= short_max:
        return bytes([short | count])
    for mark, width in longer:
        if count < 1 << 8 * width:
            return bytes([mark]) + count.to_bytes(width, "big")
    raise ValueError("too long for an action")


def pack(value: object) -> bytes:
    """Return a JSON value as MessagePack; keys stay in their order.

    Raises:
        ValueError: It is neither a text, a whole number from 0 on, a list nor a map of these.
    """
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int() if 0 <= value < 1 << 64:
            return _number(value)
        case str():
            text = value.encode()
            return _sized(len(text), 0xA0, 31, ((0xD9, 1), (0xDA, 2), (0xDB, 4))) + text
        case list():
            rows = b"".join(pack(each) for each in value)
            return _sized(len(value), 0x90, 15, ((0xDC, 2), (0xDD, 4))) + rows
        case dict():
            rows = b"".join(pack(key) + pack(each) for key, each in value.items())
            return _sized(len(value), 0x80, 15, ((0xDE, 2), (0xDF, 4))) + rows
        case _:
            raise ValueError("no value of an action")


def _number(value: int) -> bytes:
    if value < 1 << 7:
        return bytes([value])
    for mark, width in ((0xCC, 1), (0xCD, 2), (0xCE, 4)):
        if value < 1 << 8 * width:
            return bytes([mark]) + value.to_bytes(width, "big")
    return b"\xcf" + value.to_bytes(8, "big")
