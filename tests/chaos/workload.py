"""Producers that cancel in every way there is, and record the answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery import Celery

from tests.chaos.history import CancelCall, Recorder, Said
from tests.chaos.stage import Stage
from tests.support.world import KEYS
from worker import StoreUnavailable, Ticket, clock

ACCOUNTS = ("ev", "ev", "bm", "bm", "ix", "it")
"""Nonces go one at a time, so that the others take more."""
MANY = (2, 12)
STOCK = 40
"""Orders placed at once, to be canceled one by one."""
PAIR = "btc_idr"
KINDS = ("cancel", "again", "many", "all", "plain", "filled", "unknown")
WEIGHTS = (40, 6, 22, 8, 10, 8, 1)


def plain_client(url: str, options: Mapping[str, Any]) -> Celery:
    """Return another Celery client, that waits for nothing long."""
    client = Celery("chaos", broker=url)
    client.conf.update(
        task_publish_retry=False,
        broker_transport_options={
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
            "max_retries": 1,
            "interval_start": 0,
            "interval_max": 0.1,
            **options,
        },
    )
    return client


class Teller:
    """Calls a producer, and records its answers."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._recorder: Recorder = stage.recorder
        self.producer = stage.producer()
        self.plain = plain_client(*stage.broker)

    def cancel(self, account: str, ids: Sequence[str], *, pair: str = PAIR) -> list[Ticket]:
        """Cancel orders by their ids."""
        scope = self._scope(account, pair)
        kind: str = "cancel" if len(ids) == 1 else "many"
        return self._tell(
            kind, account, ids, pair, lambda: self.producer.cancel_many(account, ids, **scope)
        )

    def cancel_all(self, account: str, pair: str) -> list[Ticket]:
        """Cancel all that is open on a pair."""
        return self._tell(
            "all", account, (), pair, lambda: [self.producer.cancel_all(account, pair=pair)]
        )

    def cancel_plain(self, account: str, order_id: str) -> None:
        """Send a plain Celery message; that it was sent is no promise."""

        def send() -> list[Ticket]:
            kwargs = {"account": account, "order_id": order_id, **self._scope(account, PAIR)}
            try:
                self.plain.send_task("worker.cancel", kwargs=kwargs)
            except Exception as error:
                # kombu raises what its transport does, of many kinds.
                raise StoreUnavailable(type(error).__name__) from error
            return []

        self._tell("plain", account, (order_id,), PAIR, send)

    def _tell(
        self,
        kind: str,
        account: str,
        ids: Sequence[str],
        pair: str,
        call: Callable[[], list[Ticket]],
    ) -> list[Ticket]:
        sent_ms = clock.now_ms()
        said: Said = "ok"
        tickets: list[Ticket] = []
        try:
            tickets = call()
        except StoreUnavailable:
            said = "maybe"
        told = tuple(ticket.id for ticket in tickets)
        self._recorder.cancel(
            CancelCall(
                kind,  # type: ignore[arg-type]  # one of them
                account,
                tuple(ids),
                pair,
                sent_ms,
                clock.now_ms(),
                said,
                told,
            )
        )
        return tickets

    @staticmethod
    def _scope(account: str, pair: str) -> dict[str, str]:
        return {"pair": pair, "side": "buy"} if KEYS[account][0] == "indodax" else {}


class Trader(threading.Thread):
    """One thread that places orders and has them canceled, at a pace."""

    def __init__(self, stage: Stage, seed: str, *, pause_ms: float, stop: threading.Event) -> None:
        super().__init__(name=f"trader {seed}", daemon=True)
        self._stage = stage
        self._rng = random.Random(f"trader {seed}")
        self._name = seed.replace(" ", "")
        self._pause_ms = pause_ms
        self._stop_event = stop
        self._teller = Teller(stage)
        self._stock: dict[str, list[str]] = {account: [] for account in KEYS}
        self._last: dict[str, list[str]] = {}
        self._scopes = 0

    def run(self) -> None:
        """Trade until stopped."""
        while not self._stop_event.is_set():
            self.act(self._rng.choices(KINDS, WEIGHTS)[0], self._rng.choice(ACCOUNTS))
            clock.wait_ms(self._stop_event, self._rng.uniform(0, 2 * self._pause_ms))

    def act(self, kind: str, account: str) -> None:
        """Do one thing."""
        rng, teller = self._rng, self._teller
        match kind:
            case "many":
                ids = self._orders(account, rng.randint(*MANY))
                self._last[account] = ids
                teller.cancel(account, ids)
            case "all":
                self._scopes += 1
                pair = f"a{self._name}x{self._scopes}_idr"
                self._stage.world.place(account, rng.randint(1, 4), pair=pair)
                teller.cancel_all(account, pair)
            case "plain":
                teller.cancel_plain(account, self._orders(account, 1)[0])
            case "filled":
                ids = self._orders(account, 1)
                self._stage.sim.fill(KEYS[account][0], ids[0])
                teller.cancel(account, ids)
            case "unknown":
                teller.cancel(account, [str(rng.randrange(1, 10**6))])
            case "again" if account in self._last:
                teller.cancel(account, self._last[account][:1])
            case _:
                self._last[account] = self._orders(account, 1)
                teller.cancel(account, self._last[account])

    def _orders(self, account: str, count: int) -> list[str]:
        stock = self._stock[account]
        if len(stock) < count:
            stock += self._stage.world.place(account, STOCK, pair=PAIR)
        return [stock.pop() for _ in range(count)]
