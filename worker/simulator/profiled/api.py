"""An exchange as its profile describes it: the shapes of its replies, its words and its timer.

The profile is read as data. Where it is wrong, this server is wrong in the same way; what
is shown is the way of a request through the program, not that the exchange is as described.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from worker.simulator.book import Order
from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import Reading
from worker.simulator.options import Options
from worker.simulator.profiled.venues import VENUES
from worker.simulator.signing import same
from worker.simulator.wire import Reply, Request, json_reply

PROFILES = (Path(__file__).parents[2] / "exchanges" / "ccxt" / "profiles", Path(__file__).parent)
"""The program's, and those of exchanges of which it has none."""
STATES = {"open": "OPEN", "canceled": "CANCELED", "filled": "FILLED"}
LATE_MS = 30_000
PAIRS = ("market", "symbol", "product_id", "instrument_name")
"""Fields of a pair."""


class Profiled(Exchange):
    """Cancels by id, questions, a list, and a timer of the account or of pairs."""

    name = "ccxt"

    def __init__(self, exchange_id: str, seed: int, options: Options) -> None:
        # The name of one exchange, where the others have that of their class.
        self.name = f"ccxt:{exchange_id}"  # type: ignore[misc]
        self.mount = f"/ccxt/{exchange_id}"  # type: ignore[misc]
        super().__init__(seed, options)
        self.venue = VENUES[exchange_id]
        self.profile = _profile(exchange_id)
        self.routes = _routes(exchange_id)
        self.countdowns = Countdowns()

    def new_order_id(self) -> str:
        """Return an id of digits."""
        return str(self.ids.randrange(10**10, 10**11))

    def timers(self) -> list[Timer]:
        """Return the running timers; the pair of an account's is empty."""
        return self.countdowns.running()

    def tick(self, at_ms: float) -> None:
        """Cancel the orders of timers that have run out; they then stay off."""
        for due in self.countdowns.pop_due(at_ms):
            for order in self.book.open_orders(due.api_key, due.pair or None):
                self.book.close(order, "canceled", "countdown", at_ms)

    def read(self, request: Request) -> Reading:
        """Read query and body, whichever the exchange uses."""
        operation, places = self._route(request)
        fields = form_fields(request.query) | _document(request.body) | places
        given = fields.get(self.venue.countdown) if self.venue.countdown else None
        count = whole_number(given)
        order_id = next((fields[name] for name in self.venue.orders if name in fields), "")
        nonce = self.venue.nonce
        unit_ms = self.profile.get("timer", {}).get("unit_ms", 1)
        return Reading(
            operation,
            request.headers.get(self.venue.key, fields.get(self.venue.key, "")),
            nonce=whole_number(fields.get(nonce, request.headers.get(nonce))),
            order_ids=(order_id,) if order_id else (),
            pairs=tuple(fields[name] for name in PAIRS if name in fields),
            countdown_ms=0 if given == "null" else count and count * unit_ms,
            fields=fields,
        )

    def _route(self, request: Request) -> tuple[str, dict[str, str]]:
        """Return the operation of an address, and the fields in its path."""
        path = self.subpath(request)
        for method, pattern, operation in self.routes:
            if method == request.method and (found := pattern.fullmatch(path)):
                return operation, found.groupdict()
        return "unknown", {}

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        reading = call.reading
        refusal = self._refusal(call)
        if refusal:
            return self._refuse(self._words(refusal), refusal)
        order = self.book.find("".join(reading.order_ids), reading.api_key)
        match reading.operation:
            case "cancel":
                return self._cancel(call, order)
            case "query":
                return self._query(order)
            case "open_orders":
                pair = reading.pairs[0] if reading.pairs else None
                rows = self.book.open_orders(reading.api_key, pair)
                return self._list(rows)
            case "countdown" if reading.countdown_ms is not None:
                return self._countdown(call, reading.countdown_ms)
            case _:
                return self._refuse((404, {"message": "not found"}), "request")

    def _refusal(self, call: Call) -> str:
        """Check key, signature and nonce; what passes has used its nonce."""
        request, reading = call.request, call.reading
        key = self.keys.get(reading.api_key)
        if key is None:
            return "key"
        given, right = self.venue.signed(request, self.subpath(request), key.secret)
        if not same(given, right):
            return "signature"
        if self.venue.late and self._is_late(call, self.venue.late[0]):
            return "timestamp"
        if self.venue.nonce:
            if (reading.nonce or 0) <= self.last_nonce.get(reading.api_key, 0):
                return "nonce"
            self.last_nonce[reading.api_key] = reading.nonce or 0
        return ""

    def _is_late(self, call: Call, name: str) -> bool:
        given = whole_number(call.request.headers.get(name, call.reading.fields.get(name)))
        return given is None or abs(given - call.now_ms) > LATE_MS

    def _words(self, refusal: str) -> tuple[int, object]:
        """Return how the exchange writes a refusal."""
        if refusal == "timestamp" and self.venue.late:
            return self.venue.late[1:]
        return self.venue.stale if refusal == "nonce" else self.venue.refused

    def _cancel(self, call: Call, order: Order | None) -> Verdict:
        if order is None or not self.take_off(call, order, "cancel"):
            return self._refuse(self.venue.missing, "order")
        taken = self.book.find(order.order_id) or order
        document: Any = {}
        for place, value in self.venue.canceled:
            document = _put(document, list(place), value)
        if "cancel" in self.profile:
            place = self.profile["cancel"]["at"]
            row = self._row(taken, "cancel")
            held = _at(document, place)
            document = _put(document, place, {**held, **row} if isinstance(held, dict) else row)
        return Verdict(json_reply(200, self._with_success(document)), applied=True)

    def _query(self, order: Order | None) -> Verdict:
        if order is None or (self.venue.closed and order.status == "open"):
            if self.venue.unknown is not None:
                return self._refuse(self.venue.unknown, "order")
            place = self.profile["order"]["at"][:-1]
            return Verdict(json_reply(200, self._with_success(_put({}, place, []))), applied=True)
        place = [order.pair if key == "{pair}" else key for key in self.profile["order"]["at"]]
        document = _put({}, place, self._row(order, "order"))
        return Verdict(json_reply(200, self._with_success(document)), applied=True)

    def _countdown(self, call: Call, wanted_ms: int) -> Verdict:
        pair = call.reading.pairs[0] if call.reading.pairs else ""
        self.countdowns.set(call.reading.api_key, pair, wanted_ms, call.at_ms)
        timer = self.profile["timer"]
        now_ms = round(call.now_ms)
        document = _put({}, timer["fires"], self._moment(now_ms + wanted_ms if wanted_ms else 0))
        if "now" in timer:
            document = _put(document, timer["now"], self._moment(now_ms))
        shape = timer.get("was_set" if wanted_ms else "was_stopped", [])
        shape = [*timer.get("success", self.profile.get("success", [])), *shape]
        return Verdict(json_reply(200, _shaped(document, shape)), applied=True)

    def _moment(self, at_ms: int) -> object:
        """Return a moment as the exchange writes it; 0 for none."""
        if not self.venue.dates:
            return at_ms // self.profile["timer"]["moment_ms"]
        return _date(at_ms) if at_ms else "0"

    def _list(self, rows: list[Order]) -> Verdict:
        """List what fits on a page, and say whether that is all where the exchange does."""
        form = self.profile["list"]
        page = form.get("page", 0) or len(rows)
        document = _put({}, form["at"], [self._row(each, "list") for each in rows[:page]])
        for each in form.get("whole", []):
            document = _put(document, each["at"], (len(rows) <= page) is each["is"][0])
        if "total" in form:
            document = _put(document, form["total"], len(rows))
        return Verdict(json_reply(200, self._with_success(document)), applied=True)

    def _row(self, order: Order, table: str) -> Any:  # noqa: ANN401  JSON
        """Write an order as the exchange does in one of its replies."""
        form = {**self.profile["order"], **self.profile.get(table, {})}
        state = STATES[order.status]
        word = next(word for word, its in self.profile["states"].items() if its == state)
        row: Any = {}
        signs: dict[str, object] = {"buy": 1, "sell": -1}
        side = signs[order.side] if form.get("signed_side") else order.side
        for name, value in (("id", order.order_id), ("pair", order.pair), ("side", side)):
            if name == "id" or table != "cancel" or self.venue.reports:
                row = _put(row, _keys(form[name]), value)
        if table == "cancel" and not self.venue.reports:
            return row
        return _put(row, _keys(form["status"]), word)

    def _with_success(self, document: Any) -> object:  # noqa: ANN401  JSON
        return _shaped(document, self.profile.get("success", []))

    def _refuse(self, reply: tuple[int, object], refusal: str) -> Verdict:
        return Verdict(json_reply(*reply), refusal=refusal)

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Refusals for the rate, with and without a wait."""
        status, body = self.venue.busy
        return {
            "throttle": lambda _: json_reply(status, body),
            "throttle_retry_after": lambda _: json_reply(status, body, (("Retry-After", "1"),)),
        }


@cache
def _profile(exchange_id: str) -> dict[str, Any]:
    paths = (folder / f"{exchange_id}.toml" for folder in PROFILES)
    path = next(path for path in paths if path.exists())
    return tomllib.loads(path.read_text())


@cache
def _routes(exchange_id: str) -> list[tuple[str, re.Pattern[str], str]]:
    """Return method, path and operation of each request; a path has names for its places."""
    return [
        (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), operation)
        for (method, path), operation in VENUES[exchange_id].routes.items()
    ]


def _keys(path: str | int | list[str | int]) -> list[str | int]:
    return path if isinstance(path, list) else [path]


def _put(value: Any, path: list[str | int], content: object) -> Any:  # noqa: ANN401  JSON
    """Return JSON with a content at a path; what is on the way is made."""
    if not path:
        return content
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        rows = value if isinstance(value, list) else []
        rows = rows + [None] * (key + 1 - len(rows))
        rows[key] = _put(rows[key], rest, content)
        return rows
    table = value if isinstance(value, dict) else {}
    return {**table, key: _put(table.get(key), rest, content)}


def _at(value: Any, path: list[str | int]) -> object:  # noqa: ANN401  JSON
    """Return what is at a path; None if it leads nowhere."""
    for key in path:
        inside = isinstance(value, list if isinstance(key, int) else dict)
        there = inside and (key < len(value) if isinstance(key, int) else key in value)
        value = value[key] if there else None
    return value


def _shaped(document: Any, shape: list[dict[str, Any]]) -> object:  # noqa: ANN401  JSON
    """Return JSON with the values of a shape."""
    for each in shape:
        document = _put(document, each["at"], each["is"][0])
    return document


def _date(at_ms: int) -> str:
    """Write a moment as a date."""
    seconds, ms = divmod(at_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z"


def _texts(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of JSON as texts, however deep they are, by their names."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, name)
    else:
        yield name, str(value)


def _document(body: bytes) -> dict[str, str]:
    """Read a body of JSON as texts; empty if it is none."""
    try:
        found = json.loads(body_text(body))
    except ValueError:
        return {}
    return dict(reversed([*_texts(found)])) if isinstance(found, dict) else {}
