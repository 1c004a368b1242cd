"""The hands of a simulator that runs in another process."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, TypeVar
from urllib.parse import urlsplit

from worker.simulator.book import Order
from worker.simulator.control import CONTROL
from worker.simulator.countdowns import Timer
from worker.simulator.journal import Arrival
from worker.simulator.venues import MOUNTS

_Row = TypeVar("_Row", Order, Arrival, Timer)


class SimulatorClient:
    """The same methods as `Simulator`, over HTTP; safe to share between threads.

    Args:
        url: The simulator's base URL.
        timeout_s: For one operation.

    Raises, from every method:
        ValueError, LookupError: As `Simulator` does.
        OSError: The simulator cannot be reached. What was asked may have been done.
    """

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"not the http URL of a simulator: {url!r}")
        self._url = f"http://{parts.netloc}"
        self._host = parts.hostname
        self._port = parts.port or 80
        self._timeout_s = timeout_s

    def now_ms(self) -> float:
        """Return the host's time as the simulator has it, steps included."""
        now_ms = self._call("now_ms")
        return float(now_ms) if isinstance(now_ms, (int, float)) else 0.0

    def base_url(self) -> str:
        """Return the server's own URL."""
        return self._url

    def url(self, exchange: str) -> str:
        """Return what stands for an exchange's documented base URL."""
        if exchange not in MOUNTS:
            raise ValueError(f"no exchange is called {exchange!r}")
        return self._url + MOUNTS[exchange]

    def reset(self) -> None:
        """Forget everything, keys and options too."""
        self._call("reset")

    def set_option(self, name: str, value: object) -> None:
        """Turn a knob of `Options`."""
        self._call("set_option", name=name, value=value)

    def add_key(self, exchange: str, api_key: str, api_secret: str, memo: str = "") -> None:
        """Let a trader in."""
        self._call("add_key", exchange=exchange, api_key=api_key, api_secret=api_secret, memo=memo)

    def place(  # noqa: PLR0917
        self,
        exchange: str,
        api_key: str,
        pair: str = "btc_idr",
        side: str = "buy",
        count: int = 1,
        order_ids: Iterable[str] | None = None,
        client_ids: Iterable[str] = (),
        *,
        stop: bool = False,
    ) -> list[str]:
        """Place open orders; with `order_ids`, as many as there are ids."""
        ids = _listed(order_ids)
        result = self._call(
            "place",
            exchange=exchange,
            api_key=api_key,
            pair=pair,
            side=side,
            count=count,
            order_ids=ids,
            client_ids=list(client_ids),
            stop=stop,
        )
        return [str(order_id) for order_id in _rows(result)]

    def fill(self, exchange: str, order_id: str) -> bool:
        """Fill an order now if it is open; return whether it was."""
        return self._call("fill", exchange=exchange, order_id=order_id) is True

    def fill_race(self, exchange: str, probability: float) -> None:
        """Let orders be filled just before a cancel for them is applied."""
        self._call("fill_race", exchange=exchange, probability=probability)

    def orders(self, exchange: str, api_key: str | None = None) -> list[Order]:
        """Return all orders ever placed, oldest first."""
        rows = _rows(self._call("orders", exchange=exchange, api_key=api_key))
        return [_decode(Order, row) for row in rows]

    def order(self, exchange: str, order_id: str) -> Order:
        """Return one order."""
        return _decode(Order, self._call("order", exchange=exchange, order_id=order_id))

    def set_faults(
        self,
        faults: Mapping[str, float],
        exchange: str | None = None,
        paths: Iterable[str] | None = None,
    ) -> None:
        """Give each fault a probability per request, in place of all former ones."""
        self._call("set_faults", faults=dict(faults), exchange=exchange, paths=_listed(paths))

    def fault_next(
        self,
        name: str,
        exchange: str | None = None,
        times: int = 1,
        paths: Iterable[str] | None = None,
    ) -> None:
        """Let exactly the next `times` requests that can meet a fault meet it."""
        self._call("fault_next", name=name, exchange=exchange, times=times, paths=_listed(paths))

    def set_clock_skew(self, ms: float) -> None:
        """Set by how much the exchanges' clock is ahead of the host's."""
        self._call("set_clock_skew", ms=ms)

    def step_clock(self, ms: float) -> None:
        """Move the simulator's time."""
        self._call("step_clock", ms=ms)

    def expire_tokens(self) -> None:
        """End every BitMart token."""
        self._call("expire_tokens")

    def set_nonce(self, api_key: str, n: int) -> None:
        """Set the highest nonce that the exchanges have seen of a key."""
        self._call("set_nonce", api_key=api_key, n=n)

    def journal(self, after: int = 0) -> list[Arrival]:
        """Return what arrived after the arrival numbered `after`, in order."""
        return [_decode(Arrival, row) for row in _rows(self._call("journal", after=after))]

    def timers(self) -> list[Timer]:
        """Return the running countdowns, soonest first."""
        return [_decode(Timer, row) for row in _rows(self._call("timers"))]

    def _call(self, operation: str, **params: object) -> object:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        with closing(connection):
            connection.request("POST", CONTROL + operation, json.dumps(params))
            document = json.loads(connection.getresponse().read())
        if "error" in document:
            kind = LookupError if document.get("kind") == "LookupError" else ValueError
            raise kind(document["error"])
        result: object = document["result"]
        return result


def _listed(items: Iterable[str] | None) -> list[str] | None:
    return None if items is None else list(items)


def _rows(result: object) -> list[object]:
    if not isinstance(result, list):
        raise TypeError("a simulator of another version answered")
    return result


def _decode(kind: type[_Row], row: object) -> _Row:
    if not isinstance(row, dict):
        raise TypeError("a simulator of another version answered")
    values: dict[str, Any] = {
        name: tuple(item) if isinstance(item, list) else item for name, item in row.items()
    }
    return kind(**values)
