"""Any exchange that ccxt can sign for: `exchange = "ccxt:<id>"`.

ccxt keeps endpoints, signatures and errors. What a reply proves is decided here. In a
process without ccxt, such as a strategy's, commands are checked all the same; they are
signed by workers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, Limit, Stamp
from worker.exchanges.ccxt.calls import Calls
from worker.exchanges.ccxt.profile import Profile, profile_of
from worker.exchanges.ccxt.replies import IDS, read_reply
from worker.exchanges.ccxt.table import Entry, table
from worker.exchanges.checks import Checker, Need
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

PREFIX: Final = "ccxt:"
WINDOW_MS: Final = 1_000
NONCE: Final = "nonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class CcxtExchange:
    """One id of ccxt as a signer of commands and a reader of replies."""

    name: str
    hosts: Hosts
    capabilities: Capabilities
    calls: Calls = field(repr=False)
    profile: Profile | None = field(default=None, repr=False)
    checker: Checker = field(repr=False)

    def prepare(self) -> None:
        """Import ccxt's part for this exchange, which takes a moment, once a process.

        Raises:
            ExtraMissing: ccxt is not installed, or in another version.
        """
        self.calls.prepare()

    def check(self, command: Command) -> None:
        """Refuse a command that this exchange cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        self.checker.check(command)
        pairs = (getattr(command, "pair", None), *getattr(command, "pairs", ()))
        if any(pair is not None and not pair.strip("._-") for pair in pairs):
            raise InvalidCommand("a pair has a letter or a digit")

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send: ccxt's, in one pass that sends nothing.

        Raises:
            InvalidCommand: As in `check`; or ccxt forms no request of it, or wants another
                one first.
        """
        self.check(command)
        if self.calls.entry.nonce and stamp.nonce is None:
            raise InvalidCommand(f"{self.name} was asked to sign without a nonce")
        return self.calls.sign(command, access, now_ms=stamp.now_ms, nonce=stamp.nonce)

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(self.calls, self.profile, command, reply)


def offers(exchange_id: str) -> bool:
    """Return whether ccxt signs a cancel for this id."""
    entry = table().get(exchange_id)
    return entry is not None and entry.cancel is not None


def offered() -> list[str]:
    """Return every id that ccxt signs a cancel for."""
    return [exchange_id for exchange_id in table() if offers(exchange_id)]


@cache
def exchange_of(exchange_id: str) -> CcxtExchange:
    """Return the exchange of an id that ccxt signs for.

    Raises:
        KeyError: ccxt has no such id, or signs no cancel for it.
    """
    if not offers(exchange_id):
        raise KeyError(exchange_id)
    entry, profile, name = table()[exchange_id], profile_of(exchange_id), PREFIX + exchange_id
    capabilities = _capabilities(entry, profile)
    return CcxtExchange(
        name=name,
        hosts=Hosts(entry.origin),
        capabilities=capabilities,
        calls=Calls(exchange_id, entry, profile),
        profile=profile,
        checker=Checker(name, capabilities, IDS, _needs(entry, profile)),
    )


def _capabilities(entry: Entry, profile: Profile | None) -> Capabilities:
    commands: set[type[Command]] = {CancelOrder}
    if entry.query:
        commands.add(QueryOrder)
    if entry.listing:
        commands.add(ListOpenOrders)
    if profile and profile.timer:
        commands.add(SetCountdown)
    requests = max(1, WINDOW_MS // entry.gap_ms)
    limits = (
        Limit(
            "requests",
            (CancelOrder, QueryOrder, ListOpenOrders),
            "account",
            requests,
            max(WINDOW_MS, entry.gap_ms),
        ),
    )
    return Capabilities(
        commands=frozenset(commands),
        auth_modes=(NONCE,) if entry.nonce else (),
        nonce_auth=frozenset({NONCE}) if entry.nonce else frozenset(),
        credentials=(*entry.needs, "uid") if profile and profile.accounts else entry.needs,
        unproven=profile is None,
        limits=profile.limits if profile else limits,
        timer=profile.timer.rules if profile and profile.timer else None,
        leaves_out=profile.leaves_out if profile else "",
        spelling=profile.spell if profile else str,
    )


def _needs(entry: Entry, profile: Profile | None) -> Mapping[type[Command], tuple[Need, ...]]:
    calls = {CancelOrder: entry.cancel, QueryOrder: entry.query, ListOpenOrders: entry.listing}
    found: dict[type[Command], tuple[Need, ...]] = {
        kind: ("pair",) for kind, call in calls.items() if call and not call.plain
    }
    if profile and profile.needs_pair:
        found[ListOpenOrders] = ("pair",)
    return found
