"""One account as a worker serves it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from worker.alerts import alert
from worker.commands import Command
from worker.exchanges.base import Access, Exchange
from worker.logs import MASK, Mask
from worker.outcomes import Answer, OrderReport, Unproven
from worker.skew import Skew
from worker.store.limiter import Rule
from worker.wire import Reply


@dataclass(frozen=True, slots=True)
class Lane:
    """One account as a worker serves it.

    Attributes:
        bulk_max: Most orders in one cancel request; 1 unless its settings ask for more.
    """

    alias: str
    exchange: Exchange
    access: Access
    egress_ip: str | None
    uses_nonce: bool
    bulk_max: int
    rules: tuple[tuple[type[Command], Rule], ...]
    mask: Mask = field(default_factory=Mask, compare=False, repr=False)
    skew: Skew = field(default_factory=Skew, compare=False)

    def rules_for(self, command: Command) -> list[Rule]:
        """Return the limits that a command counts against."""
        return [rule for kind, rule in self.rules if kind is type(command)]

    def read(self, command: Command, reply: Reply, *, token: str | None = None) -> Answer:
        """Read a reply; exchanges have echoed keys and tokens, so its words are masked."""
        answer = self.exchange.classify(command, reply)
        if not isinstance(answer, Unproven | OrderReport) or not answer.detail:
            return answer
        detail = self.mask(answer.detail)
        return replace(answer, detail=detail.replace(token, MASK) if token else detail)

    def learn_clock(self, reply: Reply, *, sent_ms: float) -> None:
        """Learn the exchange's clock of a reply; alert when it is first found apart from ours."""
        if self.skew.learn(reply, sent_ms=sent_ms):
            apart = f"{self.skew.ahead_ms:+.0f} ms from ours"
            alert("clock skew", f"the exchange's clock is {apart}", exchange=self.exchange.name)

    def tell_clock_refused(self) -> None:
        """Alert that the exchange finds our clock too far from its own."""
        alert("clock skew", "the exchange refuses our timestamp", exchange=self.exchange.name)
