"""Parse a list item of the broker as a Celery message, with limits on size and memory.

kombu parses items as JSON inside the event loop and decompresses bodies there without a
limit. Here both are limited before they use memory.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import json
import lzma
import os
import zlib
from collections.abc import Callable
from typing import Any

from kombu.utils.json import loads

from worker.store.doorbell import BELL

MESSAGE_MAX = 1_048_576
"""Maximum bytes of a message, compressed and decompressed. A thousand pairs take 20,000."""
SHOWN_MAX = 2_000
LZMA_MEMORY = 128 * 1_048_576
"""Maximum memory for decompression; the largest window of the usual levels takes 65 MiB."""
SOURCE = "source"
"""Field of `delivery_info`: the list that the message was read from, its original
`delivery_info` and its original delivery tag."""


class UnreadableError(Exception):
    """An item that is not a message that can be processed.

    Attributes:
        shown: The start of the item, for the dead letter.
    """

    def __init__(self, reason: str, shown: str) -> None:
        super().__init__(reason)
        self.shown = shown


def read_envelope(item: bytes, *, queue: str, source: str) -> dict[str, Any]:
    """Parse a list item as kombu's envelope of a message.

    The sender's routing data is replaced: the message has a unique delivery tag, and a
    requeue returns it to the list that it came from.

    Args:
        item: Bytes of the list item.
        queue: The queue that the list belongs to.
        source: Name of the list.

    Raises:
        UnreadableError: The item is too large, not JSON, not a Celery message, or cannot
            be decompressed.
    """
    if len(item) > MESSAGE_MAX:
        reason = f"{len(item)} bytes; a message may have {MESSAGE_MAX} at most"
        raise UnreadableError(reason, _text(item))
    try:
        message = loads(item)
    except UnicodeDecodeError:
        raise UnreadableError("not a Celery message: not UTF-8", _text(item)) from None
    except json.JSONDecodeError:
        raise UnreadableError("not a Celery message: not JSON", _text(item)) from None
    except RecursionError:
        raise UnreadableError("not a Celery message: nested too deep", _text(item)) from None
    except Exception as error:  # kombu's decoder also builds types that the JSON names
        reason = f"not a Celery message: cannot be read ({type(error).__name__})"
        raise UnreadableError(reason, _text(item)) from error
    if fault := _fault(message):
        raise UnreadableError(f"not a Celery message: {fault}", _text(item))
    headers, properties = message.get("headers") or {}, message["properties"]
    message["headers"] = headers
    if compression := headers.pop("compression", None):
        _unpack(message, compression, _text(item))
    came, tag = properties["delivery_info"], properties["delivery_tag"]
    if BELL not in headers or not isinstance(tag, str):
        # kombu tracks messages by tag: two with one tag would be one message.
        properties["delivery_tag"] = os.urandom(16).hex()
    properties["delivery_info"] = {
        "exchange": "",
        "routing_key": queue,
        "redelivered": came.get("redelivered") is True,
        SOURCE: [source, came, tag],
    }
    return dict(message)


def written_back(message: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the list that a message came from and its original form; None if unknown."""
    properties = message["properties"]
    try:
        source, came, tag = properties["delivery_info"][SOURCE]
    except (KeyError, TypeError, ValueError):
        return None
    restored = {**properties, "delivery_info": {**came, "redelivered": True}, "delivery_tag": tag}
    return source, {**message, "properties": restored}


def _fault(message: object) -> str:
    if not isinstance(message, dict):
        return "not a JSON object"
    properties = message.get("properties")
    if not isinstance(properties, dict):
        return "no properties"
    info = properties.get("delivery_info")
    if "delivery_tag" not in properties or not isinstance(info, dict):
        return "no delivery tag or info"
    if not isinstance(message.get("headers") or {}, dict):
        return "its headers are not an object"
    return ""


def _unpack(message: dict[str, Any], compression: object, shown: str) -> None:
    unpack = _UNPACKERS.get(compression) if isinstance(compression, str) else None
    if unpack is None:
        reason = f"compressed as {str(compression)[:40]!r}; use gzip, bzip2 or lzma, or none"
        raise UnreadableError(reason, shown)
    try:
        body, ended = unpack(base64.b64decode(message["body"]))
    except (binascii.Error, OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise UnreadableError(f"cannot be decompressed ({type(error).__name__})", shown) from None
    except (zlib.error, lzma.LZMAError) as error:
        raise UnreadableError(f"cannot be decompressed: {error}", shown) from None
    if len(body) > MESSAGE_MAX:
        raise UnreadableError(f"decompresses to more than {MESSAGE_MAX} bytes", shown)
    if not ended:
        raise UnreadableError("cannot be decompressed: it is truncated", shown)
    message["body"] = base64.b64encode(body).decode()
    message["properties"]["body_encoding"] = "base64"


def _zlib(packed: bytes) -> tuple[bytes, bool]:
    unpacker = zlib.decompressobj()
    return unpacker.decompress(packed, MESSAGE_MAX + 1), unpacker.eof


def _bz2(packed: bytes) -> tuple[bytes, bool]:
    unpacker = bz2.BZ2Decompressor()
    return unpacker.decompress(packed, MESSAGE_MAX + 1), unpacker.eof


def _lzma(packed: bytes) -> tuple[bytes, bool]:
    unpacker = lzma.LZMADecompressor(memlimit=LZMA_MEMORY)
    return unpacker.decompress(packed, MESSAGE_MAX + 1), unpacker.eof


_UNPACKERS: dict[str, Callable[[bytes], tuple[bytes, bool]]] = {
    **dict.fromkeys(("application/x-gzip", "gzip", "zlib"), _zlib),
    **dict.fromkeys(("application/x-bz2", "bzip2", "bzip"), _bz2),
    **dict.fromkeys(("application/x-lzma", "lzma", "xz"), _lzma),
}
"""Decompressors by the names that Celery clients send."""


def _text(item: bytes) -> str:
    return item[:SHOWN_MAX].decode(errors="backslashreplace")
