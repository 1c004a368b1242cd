"""List items of the broker: read within bounds, or refused with a short reason."""

from __future__ import annotations

import base64
import bz2
import json
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.messaging.envelope import (
    MESSAGE_MAX,
    SHOWN_MAX,
    UnreadableError,
    read_envelope,
    written_back,
)
from worker.store.doorbell import BELL

BODY = b'[[], {"account": "ev", "order_id": "a1"}, {}]'
BOMB = b" " * 50_000_000
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "application/x-gzip": zlib.compress,
    "gzip": zlib.compress,
    "application/x-bz2": bz2.compress,
    "application/x-lzma": lzma.compress,
}


def item(body: bytes = BODY, **headers: object) -> dict[str, Any]:
    """Return a message as stock kombu writes it."""
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "worker.cancel", "id": "1", **headers},
        "properties": {
            "delivery_tag": "t",
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "body_encoding": "base64",
        },
    }


def read(message: object) -> dict[str, Any]:
    """Read a message, or an item as it lies in Redis."""
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return read_envelope(raw, queue="celery", source="celery\x06\x163")


def test_a_message_goes_back_as_it_came() -> None:
    """To its list, with its own tag and way; only that it came before is noted."""
    came = item()
    source, written = written_back(read(came)) or ("", {})
    assert source == "celery\x06\x163"
    came["properties"]["delivery_info"]["redelivered"] = True
    assert written == came
    assert read(written)["properties"]["delivery_info"]["redelivered"] is True


def test_no_two_messages_share_a_tag() -> None:
    """Whatever clients give them; a doorbell, of which nothing is kept, has its own."""
    rung = item()
    rung["headers"][BELL] = 1
    first, second = (read(item())["properties"]["delivery_tag"] for _ in range(2))
    assert first != second
    assert read(rung)["properties"]["delivery_tag"] == "t"


@pytest.mark.parametrize("name", PACKERS)
def test_packed_bodies_are_unpacked(name: str) -> None:
    """As stock Celery does."""
    message = read(item(PACKERS[name](BODY), compression=name))
    assert base64.b64decode(message["body"]) == BODY
    assert "compression" not in message["headers"]


@pytest.mark.parametrize("name", PACKERS)
def test_what_unpacks_to_too_much_is_refused(name: str) -> None:
    """Before it takes the memory; what is shown of it is short."""
    with pytest.raises(UnreadableError, match="decompresses to more than") as caught:
        read(item(PACKERS[name](BOMB), compression=name))
    assert len(caught.value.shown) <= SHOWN_MAX


def huge_window() -> bytes:
    """Return LZMA whose window alone takes 1.5 GB."""
    packed = bytearray(lzma.compress(BODY, format=lzma.FORMAT_ALONE))
    packed[1:5] = (1_500_000_000).to_bytes(4, "little")
    return bytes(packed)


REFUSED: dict[str, tuple[object, str]] = {
    "too large": (item(b"x" * MESSAGE_MAX), "a message may have 1048576 at most"),
    "unknown packing": (item(compression="application/zstd"), "use gzip, bzip2 or lzma"),
    "packing of another kind": (item(compression=[1]), "compressed as"),
    "not packed": (item(compression="gzip"), "cannot be decompressed"),
    "cut short": (item(zlib.compress(BODY)[:-5], compression="gzip"), "truncated"),
    "lzma cut short": (item(lzma.compress(BODY)[:-5], compression="xz"), "truncated"),
    "a window of 1.5 GB": (item(huge_window(), compression="lzma"), "cannot be decompressed"),
    "no body": ({**item(compression="gzip"), "body": None}, "cannot be decompressed"),
    "a huge number": (b'{"properties": ' + b"1" * 5_000 + b"}", "cannot be read"),
    "too deep": (b"[" * 100_000, "nested too deep"),
    "no JSON": (b"rubbish", "not JSON"),
    "no UTF-8": (b"\xff", "not UTF-8"),
    "no decimal": (b'{"__type__": "decimal", "__value__": "x"}', "cannot be read"),
    "no bytes": (b'{"__type__": "bytes", "__value__": "%%%"}', "not a Celery message"),
    "a number": (b"4", "not a JSON object"),
    "no properties": ({**item(), "properties": None}, "no properties"),
    "no way": ({**item(), "properties": {"delivery_tag": "t"}}, "no delivery tag or info"),
    "headers of another kind": ({**item(), "headers": [1]}, "its headers are not an object"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_message_is_refused(case: str) -> None:
    """With a reason of one short line."""
    raw, words = REFUSED[case]
    with pytest.raises(UnreadableError, match=words) as caught:
        read(raw)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200
    assert len(caught.value.shown) <= 4 * SHOWN_MAX


def test_no_headers_are_none() -> None:
    """Of protocol 1, whose clients may send null."""
    assert read({**item(), "headers": None})["headers"] == {}


@given(st.binary(max_size=200))
def test_any_item_is_read_or_refused(raw: bytes) -> None:
    """Nothing else is raised inside the event loop."""
    try:
        read(raw)
    except UnreadableError as error:
        reason = str(error)
    else:
        return
    assert reason


@given(st.binary(max_size=200), st.sampled_from([*PACKERS, "xz", "bzip2", "zlib"]))
def test_any_packed_body_is_read_or_refused(body: bytes, name: str) -> None:
    """Nothing else is raised inside the event loop."""
    try:
        read(item(body, compression=name))
    except UnreadableError as error:
        reason = str(error)
    else:
        return
    assert reason
