"""Read replies that may hold anything, without ever raising.

Two kinds of words leave this module: what an exchange says, cut short and
stripped of whatever could be a secret or a terminal command, and JSON values
that callers look into with `at`, which finds nothing rather than fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

from worker.exchanges.base import MINUTE_MS, retry_after_ms
from worker.model.commands import ListOpenOrders, ListStopOrders
from worker.model.outcomes import Outcome, Unproven
from worker.model.wire import Reply

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
DETAIL_MAX_CHARS: Final = 200
ASKED_WAIT_MAX_MS: Final = 10 * MINUTE_MS

SHAPE_MAX_CHARS: Final = 110
SHAPE_DEPTH: Final = 3
SHAPE_KEYS: Final = 8

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_WORDS_READ_CHARS: Final = 2_000
_MESSAGE_KEYS: Final = ("error_code", "error", "message", "msg")
_TOKEN_CHARS: Final = r"[A-Za-z0-9+/=_-]"  # noqa: S105 - an alphabet, not a token
_LONG_RUN: Final = re.compile(_TOKEN_CHARS + "{20,}")
_CUT_RUN: Final = re.compile(_TOKEN_CHARS + r"+\Z")
_POSITION: Final = re.compile(r"[0-9]{1,9}")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,19}")
_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "true or false",
    int: "number",
    float: "fraction",
    type(None): "null",
}
_BETWEEN: Final = re.compile(r"[^A-Za-z0-9]")
_TRY_AGAIN: Final = re.compile(r"try again in ([0-9]{1,6}(?:\.[0-9]{1,6})?) seconds?\b")


def read_json(body: bytes) -> object:
    """Parse a body; None when it is not JSON, or JSON that no exchange means.

    A key given twice and the numbers NaN and Infinity are not JSON that a
    document describes: what cannot be read one way only is not read. A byte order
    mark before UTF-8 changes nothing.
    """
    if len(body) > BODY_MAX_BYTES:
        return None
    try:
        value: object = _JSON.decode(body.removeprefix(_BYTE_ORDER_MARK).decode())
    except (ValueError, RecursionError):
        return None
    return value


def at(value: object, *path: str) -> object:
    """Follow keys into nested objects; None when there is no such place."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_at(value: object, *path: str) -> str:
    """Follow keys to a text; empty when there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def is_number(value: object, wanted: int) -> bool:
    """Distinguish a JSON integer from the `true` and `1.0` that equal it in Python."""
    return type(value) is int and value == wanted


def same_id(value: object, asked: str) -> bool:
    """Return whether a JSON value is the id that was asked for, as text or number."""
    return asked != "" and id_text(value) == asked


def id_text(value: object) -> str:
    """Turn an id that may be text or number into text; empty when it is neither."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def word_at(value: object, *path: str) -> str:
    """Follow keys to a word that means the same in any letter case; empty when there is none."""
    return text_at(value, *path).strip().casefold()


def rows_of(value: object) -> list[object] | None:
    """Return the rows of a list; None when it is neither a list nor one keyed by position.

    Some servers write a list that has gaps as `{"0": …, "2": …}`. An empty object is
    no such list: it may stand for "nothing", or for no result at all.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(map(_POSITION.fullmatch, value)):
        return list(value.values())
    return None


def in_scope(
    scope: ListOpenOrders | ListStopOrders, pair: str, side: str, client_id: str = ""
) -> bool:
    """Return whether a row belongs to what was asked; case does not distinguish pairs."""
    in_pair = scope.pair is None or scope.pair.casefold() == pair.casefold()
    named = client_id.startswith(scope.client_id_prefix or "")
    return in_pair and named and scope.side in (None, side)


def respelled(scope: ListOpenOrders | ListStopOrders, pair: str) -> bool:
    """Return whether a row's pair may be the one that was asked for, in another spelling.

    Its orders are not of the scope for certain, and a list with them does not show it empty.
    """
    asked, told = (_BETWEEN.sub("", each).casefold() for each in (scope.pair or "", pair))
    return asked == told and (scope.pair or "").casefold() != pair.casefold()


def refused(reply: Reply, body: object) -> Unproven:
    """Read a reply by its HTTP status alone, after the documented ones are dealt with.

    429 and 5xx mean the same with any body, an outage page included. What a gateway
    did not wait for (504) may yet be done. Whatever else comes here is in no document.
    """
    detail = describe(reply, body)
    wait_ms = retry_after_ms(reply.headers)
    if reply.status == 429:  # noqa: PLR2004 - HTTP "Too Many Requests"
        asked_ms = wait_asked_ms(detail)
        return Unproven(
            Outcome.THROTTLED,
            detail,
            retry_after_ms=wait_ms if asked_ms is None else asked_ms,
        )
    if reply.status == 504:  # noqa: PLR2004 - a gateway that no longer waits
        return Unproven(Outcome.UNKNOWN, detail, retry_after_ms=wait_ms)
    if 500 <= reply.status <= 599:  # noqa: PLR2004 - HTTP server errors
        return Unproven(Outcome.UNAVAILABLE, detail, retry_after_ms=wait_ms)
    if body is not None and not _message(body):
        detail = f"{detail}: {shape(reply, body)}"
    return Unproven(Outcome.UNKNOWN, detail)


def wait_asked_ms(text: str) -> int | None:
    """Read "try again in 0.043 seconds" as ms, rounded up, at most ten minutes."""
    found = _TRY_AGAIN.search(text)
    if not found:
        return None
    exact_ms = Decimal(found[1]) * 1_000
    return min(int(exact_ms.to_integral_value(ROUND_CEILING)), ASKED_WAIT_MAX_MS)


def unknown(reply: Reply, body: object, why: str) -> Unproven:
    """Judge a reply that no document describes: our words, the exchange's message, the shape.

    No value of the body is shown, since it may be a token.
    """
    words = f"{why}: {message}" if (message := _message(body)) else why
    seen = shape(reply, body)
    return Unproven(Outcome.UNKNOWN, f"HTTP {reply.status}: {words}; {seen}"[:DETAIL_MAX_CHARS])


def shape(reply: Reply, body: object) -> str:
    """Describe how a reply is built: names of its keys and types of its values, never a value.

    A key that could hold a secret, or does not look like a name, is shown as `?`.
    """
    if body is None:
        length = len(reply.body)
        null = reply.body.strip() == b"null"
        return "null" if null else f"no JSON, {length} bytes" if length else "an empty body"
    return _shape(body, SHAPE_DEPTH)[:SHAPE_MAX_CHARS]


def _shape(value: object, depth: int) -> str:
    match value:
        case dict() if depth == 0 and value:
            return "{…}"
        case dict():
            parts = [
                f"{_name(key)}: {_shape(value[key], depth - 1)}" for key in [*value][:SHAPE_KEYS]
            ]
            more = ["…"] if len(value) > SHAPE_KEYS else []
            return "{" + ", ".join(parts + more) + "}"
        case list():
            first = _shape(value[0], depth - 1) if value and depth else ""
            return f"[{len(value)} of {first}]" if first else f"[{len(value)}]"
        case _:
            return _TYPES[type(value)]


def _name(key: str) -> str:
    return key if _KEY.fullmatch(key) else "?"


def describe(reply: Reply, body: object) -> str:
    """Say for people what a reply says: its message, else how a page begins."""
    words = _message(body)
    if body is None:
        words = readable(reply.body[: 4 * _WORDS_READ_CHARS].decode(errors="replace"))
    return f"HTTP {reply.status}: {words}"[:DETAIL_MAX_CHARS] if words else f"HTTP {reply.status}"


def _message(body: object) -> str:
    return readable(": ".join(text for key in _MESSAGE_KEYS if (text := text_at(body, key))))


def readable(text: str) -> str:
    """Keep printable words only, on one line, without runs that could be secrets.

    Exchanges have echoed keys and signatures in their errors. Any long run of
    letters and digits is masked; at worst that hides an order id, which the
    reader has anyway.
    """
    cut = text[:_WORDS_READ_CHARS]
    if len(text) > len(cut):
        cut = _CUT_RUN.sub("", cut)  # half a secret is still one
    printable = "".join(char if char.isprintable() else " " for char in cut)
    masked = _LONG_RUN.sub(_mask, " ".join(printable.split()))
    return masked[:DETAIL_MAX_CHARS]


def _mask(run: re.Match[str]) -> str:
    return "***" if any(char.isdigit() for char in run[0]) else run[0]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
