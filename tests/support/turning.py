"""A dispatcher whose threads a test runs, at an exchange known to be fast."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.ledgers import Verb, verb_of
from tests.support.world import World
from worker.dispatch.batch import BatchRunner
from worker.dispatch.concurrency import ExchangeThreads
from worker.dispatch.dispatcher import Dispatcher
from worker.factory import build_dispatcher
from worker.model.settlements import Claimed, Settlement
from worker.policy.batch_sizing import BatchSizing


class Fast(BatchSizing):
    """That of an exchange which is known to be fast, whatever holds the machine up."""

    def __init__(self) -> None:
        super().__init__()
        for _ in range(50):
            super().learn(0.2, 0.2)

    def learn(self, took_ms: float, cpu_ms: float, *, busy: bool = False) -> None:
        """Learn no more."""


class Watched(BatchRunner):
    """Records the batches that it runs."""

    batches: list[tuple[int, int]]
    """How many jobs each had, and how many of them were put back."""

    def run(self, threads: ExchangeThreads, claimed: Claimed, asked_ms: float) -> list[Settlement]:
        """Run a batch, and record it."""
        done = super().run(threads, claimed, asked_ms)
        back = sum(verb_of(each) is Verb.WAIT for each in done)
        self.batches.append((len(done), back))
        return done


@dataclass(frozen=True)
class Turning:
    """A dispatcher that knows its exchange to be fast, and the batches that it runs."""

    dispatcher: Dispatcher
    watched: Watched

    @property
    def batches(self) -> list[tuple[int, int]]:
        """The batches so far."""
        return self.watched.batches

    @property
    def threads(self) -> ExchangeThreads:
        """Those of the exchange."""
        return self.dispatcher._threads["everstrike"]  # noqa: SLF001

    def run(self) -> None:
        """Let one thread have its turn."""
        self.dispatcher.run_exchange("everstrike")


def turning(world: World) -> Turning:
    """Return a dispatcher of this process."""
    dispatcher = build_dispatcher(world.settings())
    dispatcher.register()
    watched = dispatcher._parts.batches  # noqa: SLF001
    watched.__class__ = Watched
    assert isinstance(watched, Watched)
    watched.batches = []
    made = Turning(dispatcher, watched)
    made.threads.sizing = Fast()
    return made
