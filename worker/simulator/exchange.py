"""What every simulated exchange is: (request, state, now) in, reply out."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from worker.simulator.book import Book, ClosedBy, Order
from worker.simulator.countdowns import Timer
from worker.simulator.journal import Reading
from worker.simulator.options import Options
from worker.simulator.wire import Reply, Request


@dataclass(frozen=True, slots=True)
class Key:
    """A trader's credentials."""

    secret: str = field(repr=False)
    memo: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One request at one moment.

    Attributes:
        at_ms: By the host's clock.
        now_ms: By the exchange's clock, which may be skewed.
        dice: This request's random generator; drawing from it changes no other request.
    """

    request: Request
    reading: Reading
    at_ms: float
    now_ms: float
    dice: random.Random = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exchange's reply, and the truth about it."""

    reply: Reply
    applied: bool = False
    refusal: str | None = None


def _any(reading: Reading) -> bool:
    del reading
    return True


@dataclass(frozen=True, slots=True)
class OwnFault:
    """A fault that one exchange alone has; its reply is one of the exchange's `fault_replies`.

    Attributes:
        name: Begins with the exchange's, or that of its family.
        applied: Whether the request takes effect; None leaves that to chance.
        says: What the client sees, for people.
        kind: It `passes`: the next request is answered as ever. It `lasts`: it would be
            answered again. It `bans` an address or a key for a time. Or the cancel has been
            accepted, and the order is `open` yet.
        meets: Whether it has a meaning for a request.
    """

    name: str
    applied: bool | None
    says: str
    kind: Literal["passes", "lasts", "bans", "open"] = "passes"
    meets: Callable[[Reading], bool] = _any


class Exchange(ABC):
    """State and rules of one exchange. Callers hold the simulator's lock."""

    name: ClassVar[str]
    mount: ClassVar[str]
    """Where it is, below the server's own base URL."""
    stands_for: ClassVar[str]
    """The base URL of the real one."""
    traded: ClassVar[tuple[str, str]] = ("btc_idr", "eth_idr")
    """Two pairs, for those who need an order of some pair."""
    own_faults: ClassVar[tuple[OwnFault, ...]] = ()
    usual_pairs: ClassVar[tuple[str, ...]] = ()
    """What a public list of pairs has in any case."""

    def __init__(self, seed: int, options: Options) -> None:
        self.options = options
        self.keys: dict[str, Key] = {}
        self.last_nonce: dict[str, int] = {}
        """By API key, the highest nonce that was accepted, where nonces are used."""
        self.fill_race = 0.0
        self.ids = random.Random(f"ids:{self.name}:{seed}")  # noqa: S311
        self.dice = random.Random(f"dice:{self.name}:{seed}")  # noqa: S311
        self.book = Book(self.new_order_id)

    def join(self, others: Mapping[str, Exchange]) -> None:
        """Learn of the other exchanges."""
        del others

    def expire_tokens(self) -> bool:
        """End every token; return whether requests carry one."""
        return False

    @abstractmethod
    def new_order_id(self) -> str:
        """Return an order id in the style of this exchange."""

    def pair_in_book(self, pair: str) -> str:
        """Return a pair as the book has it."""
        return pair

    @abstractmethod
    def read(self, request: Request) -> Reading:
        """Say what a request wants. Never refuses."""

    @abstractmethod
    def handle(self, call: Call) -> Verdict:
        """Judge a request, apply it, and reply."""

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """Return the public list of pairs, as this exchange writes it."""
        raise NotImplementedError

    @property
    def pairs(self) -> list[str]:
        """The pairs that a public list has."""
        return sorted({*self.usual_pairs, *self.options.more_pairs, *self.book.pairs})

    @property
    @abstractmethod
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """The replies of the faults that are this exchange's own."""

    def admit(self, call: Call) -> Verdict | None:
        """Count an arrival against the limits; return the refusal, if any.

        Asked for every request, even one that a fault then keeps from being
        handled: limits are counted at arrival.
        """
        del call
        return None

    def counted(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return the headers that say what is left of a limit, on every reply but a refusal."""
        del call
        return ()

    def tick(self, at_ms: float) -> None:
        """Do what has come due."""
        del at_ms

    def timers(self) -> list[Timer]:
        """Return the running countdowns; none where the exchange keeps none."""
        return []

    def waiting(self) -> bool:
        """Return whether time alone will change something here."""
        return bool(self.timers())

    def subpath(self, request: Request) -> str:
        """Return the path below this exchange's base URL."""
        return request.path.removeprefix(self.mount)

    def take_off(self, call: Call, order: Order, by: ClosedBy) -> bool:
        """Cancel an open order, unless a fill comes first; return whether it was canceled."""
        if self.fill_race and call.dice.random() < self.fill_race:
            self.book.close(order, "filled", "fill", call.at_ms)
            return False
        return self.book.close(order, "canceled", by, call.at_ms)
