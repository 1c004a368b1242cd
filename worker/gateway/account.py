"""One account as a worker serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from worker.exchanges.base import Access, Exchange
from worker.gateway.clock_skew import ClockSkew
from worker.model.commands import Command
from worker.model.limits import Left, Rule
from worker.model.names import account_of, jobs_lane, lane_of
from worker.model.outcomes import Answer, OrderReport, Unproven
from worker.model.wire import Reply
from worker.telemetry.alerts import alert
from worker.telemetry.logs import MASK, Mask

REFUSALS = (418, 429)
"""Statuses of a refusal for the rate."""


@dataclass(frozen=True, slots=True)
class AccountSession:
    """One account as a worker serves it.

    Attributes:
        bulk_max: Most orders in one cancel request; 1 unless its settings ask for more.
        rules: By command, the limits that it counts against.
        whole: The same for commands without a pair, where those weigh more; else empty.
        identity: The same for every alias of one key on one exchange; see `Account.site`.
        site: Name of the exchange and its site, whose pairs are the same for all accounts.
    """

    alias: str
    exchange: Exchange
    access: Access
    egress_ip: str | None
    uses_nonce: bool
    bulk_max: int
    rules: tuple[tuple[type[Command], Rule], ...]
    whole: tuple[tuple[type[Command], Rule], ...] = ()
    identity: str = ""
    site: str = ""
    mask: Mask = field(default_factory=Mask, compare=False, repr=False)
    skew: ClockSkew = field(default_factory=ClockSkew, compare=False)

    def rules_for(self, command: Command) -> list[Rule]:
        """Return the limits that a command counts against, with its weight."""
        whole = getattr(command, "pair", "") is None and self.whole
        stop = getattr(command, "stop", False)
        return [
            rule
            for kind, rule in (self.whole if whole else self.rules)
            if kind is type(command) and (stop or not rule.stops)
        ]

    def left(self, command: Command, reply: Reply) -> list[Left]:
        """Return what a reply says is left of the limits that the command counted against.

        A refusal for the rate says when to come back instead.
        """
        if reply.status in REFUSALS:
            return []
        told = []
        for rule in self.rules_for(command):
            if rule.counter is None:
                continue
            left = rule.counter.left(reply.headers, rule.max_requests)
            if left is not None:
                frees_ms = rule.counter.frees_ms(
                    reply.headers, now_ms=reply.received_ms, window_ms=rule.window_ms
                )
                told.append(Left(rule, left, frees_ms))
        return told

    @property
    def bans(self) -> list[Rule]:
        """The rules that hold off all requests during a ban."""
        return list({rule.key: rule for _, rule in self.rules if rule.ban}.values())

    def tell_banned(self, ban_ms: int) -> None:
        """Alert that the exchange refuses every request for a time."""
        until = f"for {ban_ms // 1_000} s; nothing is sent to it from here until then"
        alert("banned", f"the exchange refuses all requests {until}", exchange=self.exchange.name)

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


class AccountSessions:
    """The accounts of one process, by the lanes that it serves.

    Their own, and those of other aliases of their keys. Safe to use from many threads.

    Args:
        own: By alias, as the settings have them.
    """

    def __init__(self, own: Mapping[str, AccountSession]) -> None:
        self._own = own
        self._others: Mapping[str, AccountSession] = {}

    def of(self, lane: str) -> AccountSession:
        """Return the account of a lane, or of the lane of switches beside it.

        Raises:
            KeyError: This process does not serve it.
        """
        name = jobs_lane(lane)
        return self._others.get(name) or self._own[account_of(name)]

    def get(self, lane: str) -> AccountSession | None:
        """Return the account of a lane; None if this process does not serve it."""
        try:
            return self.of(lane)
        except KeyError:
            return None

    def serve(self, lanes: Mapping[str, str]) -> None:
        """Serve these lanes too, each for the account of that alias."""
        self._others = {lane: self._own[alias] for lane, alias in lanes.items()}

    @property
    def names(self) -> set[str]:
        """The lanes of jobs that this process serves."""
        own = {lane_of(lane.exchange.name, lane.alias) for lane in self._own.values()}
        return own | set(self._others)

    @property
    def accounts(self) -> list[AccountSession]:
        """The accounts of the settings."""
        return list(self._own.values())
