"""The exchanges as one server, and the hands that move them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from worker.simulator.book import Order
from worker.simulator.clock import host_now_ms
from worker.simulator.control import CONTROL, answer
from worker.simulator.countdowns import CHECK_EVERY_MS, Timer
from worker.simulator.engine import Engine
from worker.simulator.exchange import Exchange, Key
from worker.simulator.journal import Arrival
from worker.simulator.options import Options
from worker.simulator.server import Server
from worker.simulator.venues import MOUNTS
from worker.simulator.wire import Delivery, Request


class Simulator:
    """The exchanges on one port, with their ground truth.

    The same `seed` and the same order of arrivals at an exchange give the
    same faults, ids and undocumented replies. Every time that is reported is
    Unix ms by the host's clock, whatever the skew.

    Args:
        seed: Of all that is left to chance.
        host: The one address to bind.
        port: 0 for any that is free.
        options: Knobs to start from instead of those chosen by the seed.
        clock: Returns Unix ms; the host's clock unless given.
    """

    def __init__(
        self,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        options: Options | None = None,
        clock: Callable[[], float] = host_now_ms,
    ) -> None:
        self._seed = seed
        self._host = host
        self._port = port
        self._options = options or Options.seeded(seed)
        self._clock = clock
        self._stopping = threading.Event()
        self._server: Server | None = None
        self.reset()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and check the countdowns every 10 ms; once is enough.

        Raises:
            OSError: The address cannot be bound.
        """
        if self._server is not None:
            return
        server = Server(self._host, self._port, self._serve)
        self._port = server.start()
        self._server = server
        self._stopping.clear()
        self._ticker = threading.Thread(target=self._tick, name="simulator-ticker", daemon=True)
        self._ticker.start()

    def stop(self) -> None:
        """Close every connection and end every thread; once is enough."""
        server, self._server = self._server, None
        if server is not None:
            self._stopping.set()
            server.stop()
            self._ticker.join()

    def reset(self) -> None:
        """Forget everything, keys and options too: as new, on the same port."""
        self._engine = Engine(self._seed, replace(self._options), self._clock)

    @property
    def options(self) -> Options:
        """The current options; change them with `set_option`."""
        return self._engine.options

    def set_option(self, name: str, value: object) -> None:
        """Turn a knob of `Options`."""
        with self._engine.lock:
            self._engine.options.set(name, value)

    def now_ms(self) -> float:
        """Return the host's time as this simulator has it, steps included."""
        return self._engine.now_ms()

    def base_url(self) -> str:
        """Return the server's own URL, for `SimulatorClient`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def url(self, exchange: str) -> str:
        """Return what stands for an exchange's documented base URL."""
        self._exchange(exchange)
        return self.base_url() + MOUNTS[exchange]

    def add_key(self, exchange: str, api_key: str, api_secret: str, memo: str = "") -> None:
        """Let a trader in."""
        with self._engine.lock:
            self._exchange(exchange).keys[api_key] = Key(api_secret, memo)

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
        """Place open orders; with `order_ids`, as many as there are ids.

        The first orders get the ids of `client_ids` as their client order ids. With
        `stop` they are stop orders.

        Raises:
            ValueError: The key is unknown, or an id is taken.
        """
        with self._engine.lock:
            its = self._exchange(exchange)
            if api_key not in its.keys:
                raise ValueError(f"{exchange} has no key {api_key!r}; add it first")
            return its.book.place(
                api_key,
                pair=its.pair_in_book(pair),
                side=side.lower(),
                count=count,
                order_ids=order_ids,
                at_ms=self._engine.now_ms(),
                client_ids=client_ids,
                stop=stop,
            )

    def fill(self, exchange: str, order_id: str) -> bool:
        """Fill an order now if it is open; return whether it was."""
        with self._engine.lock:
            order = self.order(exchange, order_id)
            book = self._exchange(exchange).book
            return book.close(order, "filled", "fill", self._engine.now_ms())

    def fill_race(self, exchange: str, probability: float) -> None:
        """Let orders be filled just before a cancel for them is applied."""
        with self._engine.lock:
            self._exchange(exchange).fill_race = probability

    def orders(self, exchange: str, api_key: str | None = None) -> list[Order]:
        """Return all orders ever placed, oldest first."""
        with self._engine.lock:
            its = self._exchange(exchange)
            return [order for order in its.book.orders(api_key) if order.api_key in its.keys]

    def order(self, exchange: str, order_id: str) -> Order:
        """Return one order.

        Raises:
            LookupError: It was never placed.
        """
        with self._engine.lock:
            order = self._exchange(exchange).book.find(order_id)
        if order is None:
            raise LookupError(f"{exchange} has no order {order_id!r}")
        return order

    def set_faults(
        self,
        faults: Mapping[str, float],
        exchange: str | None = None,
        paths: Iterable[str] | None = None,
    ) -> None:
        """Give each fault a probability per request, in place of all former ones.

        `exchange` None means all. `paths` narrows it to requests whose path
        below the base URL begins so (`/auth/cancel`), or to operations as the
        journal names them (`cancel`).
        """
        with self._engine.lock:
            self._check(exchange)
            self._engine.plan.set(faults, exchange=exchange, paths=paths)

    def fault_next(
        self,
        name: str,
        exchange: str | None = None,
        times: int = 1,
        paths: Iterable[str] | None = None,
    ) -> None:
        """Let exactly the next `times` requests that can meet a fault meet it."""
        with self._engine.lock:
            self._check(exchange)
            self._engine.plan.next(name, exchange=exchange, times=times, paths=paths)

    def set_clock_skew(self, ms: float) -> None:
        """Set by how much the exchanges' clock is ahead of the host's."""
        with self._engine.lock:
            self._engine.skew_ms = ms

    def step_clock(self, ms: float) -> None:
        """Move the simulator's time; what becomes due is done on return."""
        with self._engine.lock:
            self._engine.stepped_ms += ms
            self._engine.tick()

    def expire_tokens(self) -> None:
        """End every token."""
        with self._engine.lock:
            for exchange in self._engine.exchanges.values():
                exchange.expire_tokens()

    def set_nonce(self, api_key: str, n: int) -> None:
        """Set the highest nonce that the exchanges have seen of a key."""
        with self._engine.lock:
            for exchange in self._engine.exchanges.values():
                exchange.last_nonce[api_key] = n

    def journal(self, after: int = 0) -> list[Arrival]:
        """Return what arrived after the arrival numbered `after`, in order."""
        with self._engine.lock:
            return self._engine.journal[after:]

    def timers(self) -> list[Timer]:
        """Return the running countdowns, soonest first."""
        with self._engine.lock:
            return self._engine.timers()

    def _exchange(self, name: str) -> Exchange:
        self._check(name)
        return self._engine.exchanges[name]

    def _check(self, name: str | None) -> None:
        if name is not None and name not in MOUNTS:
            raise ValueError(f"no exchange is called {name!r}; there are: {', '.join(MOUNTS)}")

    def _serve(self, request: Request) -> Delivery:
        if request.path.startswith(CONTROL):
            return answer(self, request)
        return self._engine.receive(request)

    def _tick(self) -> None:
        while not self._stopping.wait(CHECK_EVERY_MS / 1_000):
            if self._engine.waiting():
                self._engine.tick()
