"""Changes to an input: of its bytes, and of the JSON in it where there is some."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.target import Target

MAX_BYTES = 4_096
CHANGES = 4
"""Most changes at once."""
SCALARS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        200,
        2**31,
        2**53 + 1,
        -(2**63),
        10**30,
        1.5,
        1e308,
        -1e306,
        0.0,
    ),
    *("", " ", "0", "1", "null", "\x00", "\ud800", "\u202e", "ä" * 9, "x" * 300, "-1", "1e9"),
    *([], {}, [[]], [{}], {"": ""}),
)
NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"-1e999",
    b"9" * 40,
    b"NaN",
    b"Infinity",
    b"0x1",
    b"1_0",
    b"00",
    b"1.0",
)


def mutate(data: bytes, target: Target, rng: random.Random) -> bytes:
    """Return `data` changed in one to a few ways."""
    head, tail = data[: target.head], data[target.head :]
    if target.head and rng.random() < 0.5:
        head = rng.randbytes(target.head)
    for _ in range(rng.randint(1, CHANGES)):
        tail = rng.choice(WAYS)(tail, target, rng)
    return head.ljust(target.head, b"\0") + tail[:MAX_BYTES]


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(0, 16))


def _cut(data: bytes, _target: Target, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _end(data: bytes, _target: Target, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _repeat(data: bytes, _target: Target, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def _noise(data: bytes, _target: Target, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + rng.randbytes(rng.randint(1, 8)) + data[end:]


def _flip(data: bytes, _target: Target, rng: random.Random) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _word(data: bytes, target: Target, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    word = rng.choice((*target.words, *NUMBERS))
    return data[:start] + word + data[rng.choice((start, end)) :]


def _splice(data: bytes, target: Target, rng: random.Random) -> bytes:
    other = rng.choice(target.corpus)[target.head :]
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _json(data: bytes, target: Target, rng: random.Random) -> bytes:
    document = _load(data)
    if document is None:
        document = _load(rng.choice(target.corpus)[target.head :])
    holder = [document]
    places = list(_places(holder))
    into, key = rng.choice(places)
    other = _load(rng.choice(target.corpus)[target.head :])
    found = rng.choice(list(_places([other])))
    way = rng.randrange(5)
    if way == 0 and into is not holder:
        del into[key]
    elif way == 1:
        into[key] = found[0][found[1]]
    elif way == 2:
        into[key] = [into[key]] * rng.choice((1, 2, 120))
    elif way == 3 and target.words:
        into[key] = rng.choice(target.words).decode(errors="replace")
    else:
        into[key] = rng.choice(SCALARS)
    try:
        return json.dumps(holder[0], ensure_ascii=rng.random() < 0.5).encode()
    except (UnicodeEncodeError, ValueError):
        return data


def _load(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _places(value: Any) -> Any:
    """Yield each place of a document as its holder and key."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


WAYS: tuple[Callable[[bytes, Target, random.Random], bytes], ...] = (
    *(_json, _json, _json, _json, _word, _word),
    *(_cut, _end, _repeat, _noise, _flip, _splice),
)
