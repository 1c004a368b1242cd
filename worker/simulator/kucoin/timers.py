"""KuCoin's "disconnection protect": one timer of an account, with one list of pairs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from worker.simulator.book import Book, Order
from worker.simulator.countdowns import Timer

TIMEOUT_S = range(5, 86_401)
OFF = -1
SYMBOLS_MAX = 50


@dataclass(frozen=True, slots=True)
class Setting:
    """What one call set: the pairs (all if there are none), for how long, and until when."""

    symbols: tuple[str, ...]
    timeout_s: int
    fires_at_ms: float


class Protection:
    """The timers by key, and those that have fired and take orders off yet."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._settings: dict[str, Setting] = {}
        self._firing: list[tuple[float, str, tuple[str, ...]]] = []

    def set(self, api_key: str, symbols: tuple[str, ...], timeout_s: int, at_ms: float) -> None:
        """Replace an account's timer and its list; `OFF` stops it."""
        self._settings.pop(api_key, None)
        if timeout_s != OFF:
            self._settings[api_key] = Setting(symbols, timeout_s, at_ms + timeout_s * 1_000)

    def of(self, api_key: str) -> Setting | None:
        """Return an account's timer."""
        return self._settings.get(api_key)

    def running(self) -> list[Timer]:
        """Return a timer for each pair; one of all pairs has an empty one."""
        return [
            Timer(key, symbol, setting.fires_at_ms)
            for key, setting in self._settings.items()
            for symbol in setting.symbols or ("",)
        ]

    def waiting(self) -> bool:
        """Return whether orders are to be taken off yet."""
        return bool(self._settings or self._firing)

    def fire(self, book: Book, at_ms: float, within_ms: int) -> None:
        """Take off the plain orders of timers that ran out, each at most `within_ms` late."""
        for key, setting in [*self._settings.items()]:
            if setting.fires_at_ms <= at_ms:
                del self._settings[key]
                late_ms = self._dice.random() * within_ms
                self._firing.append((setting.fires_at_ms + late_ms, key, setting.symbols))
        for due in [each for each in self._firing if each[0] <= at_ms]:
            self._firing.remove(due)
            for pair in due[2] or (None,):
                for order in [*_plain(book, due[1], pair)]:
                    book.close(order, "canceled", "countdown", due[0])


def _plain(book: Book, api_key: str, pair: str | None) -> Iterator[Order]:
    return (order for order in book.open_orders(api_key, pair) if not order.stop)
