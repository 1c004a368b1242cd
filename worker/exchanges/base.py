"""What an exchange is to this program: a pure signer and reader of replies.

An adapter does no I/O and reads no clock. Limits, nonce rule and capabilities
are data, so that everything above serves every exchange alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from worker.exchanges.timer import Timer
from worker.model.commands import Command
from worker.model.limits import Counter
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

MINUTE_MS = 60_000
RETRY_AFTER_MAX_MS = 10 * MINUTE_MS
"""A longer wait than this is more likely a mistake than a wish."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where to send, and with which credentials. Secrets are kept out of its repr.

    Attributes:
        memo: The memo or the passphrase, where the exchange has one.
        uid: The number of the user, where requests name it; so the address of the wallet.
        private_key: What signs instead of an API secret.
        testnet: Whether it is the exchange's test, which some mark in each request.
    """

    base_url: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    memo: str = field(default="", repr=False)
    auth: str = ""
    hash: str = ""
    category: str = ""
    testnet: bool = False
    uid: str = field(default="", repr=False)
    wallet: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)


def accept(access: Access) -> str:
    """Find nothing wrong with any credentials."""
    del access
    return ""


def no_asset(pair: str) -> str:
    """Find no asset id in the name of any pair."""
    del pair
    return ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes one request unlike every other.

    Attributes:
        now_ms: Unix ms, corrected to the exchange's clock where it is known.
        nonce: Never used before for this key; None where none is needed.
        token: Bearer token; None where none is needed.
        window_ms: How long it is to be accepted, where the exchange lets the request say
            so; None is the exchange's default.
        asset: The asset id of the command's pair, where the exchange needs one; empty if
            the command has no pair.
    """

    now_ms: int
    nonce: int | None = None
    token: str | None = field(default=None, repr=False)
    window_ms: int | None = None
    asset: str = ""


@dataclass(frozen=True, slots=True)
class IdForm:
    """What ids look like, for programs and for people.

    Attributes:
        pattern: Charset and length; an id matches as a whole.
        words: The charset in words.
        longest: Most characters.
        begins: What the beginning of an id looks like; None if that is the same.
    """

    pattern: re.Pattern[str]
    words: str
    longest: int = 128
    begins: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `max_requests` of the named commands in any `window_ms`.

    Attributes:
        name: Part of the limiter's key.
        commands: Command classes that count.
        per: What the exchange counts by.
        max_requests: In any window, as counted at the exchange; weights where it counts those.
        weights: How much a command counts, 1 if it is not here. Of a pair of figures the
            second is for a command without a pair.
        window_ms: Length of the window.
        paced: What is not urgent goes at even steps, so that what is finds a
            slot soon.
        proven: For few requests in a long window. None is sent before each replica
            of Redis that keeps up knows of it, so that a failover need not hold off
            the others for that window. Not for countdowns.
        stops: Only commands about a stop order count.
        counter: Where replies say what is left of it.
    """

    name: str
    commands: tuple[type[Command], ...]
    per: Literal["account", "ip"]
    max_requests: int
    window_ms: int
    paced: bool = False
    proven: bool = False
    weights: Mapping[type[Command], int | tuple[int, int]] = field(default_factory=dict)
    stops: bool = False
    counter: Counter | None = None

    def weight(self, command: type[Command], *, all_pairs: bool = False) -> int:
        """Return how much a command counts."""
        found = self.weights.get(command, 1)
        return found if isinstance(found, int) else found[all_pairs]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an exchange has, as data.

    Attributes:
        commands: Commands that it can carry out. What is missing is emulated
            above or refused before anything is queued.
        auth_modes: Accepted values of an account's `auth`, default first;
            empty when there is only one way.
        nonce_auth: The auth modes whose requests carry a nonce, so that a
            key's requests must arrive one at a time.
        unordered_nonce: Requests carry a nonce that no other request of the key has, in ms;
            they may arrive in any order.
        bulk_max: Most orders in one `CancelOrders`; 0 without the command.
        needs_token: Requests carry a bearer token from `FetchToken`.
        needs_memo: Accounts have a memo beside key and secret.
        needs_passphrase: Accounts have a passphrase beside key and secret.
        credentials: What an account must have, by the names in its settings, beside a memo
            or a passphrase that is needed.
        unproven: No document of its replies is known here: accounts need `unproven = true`.
        base64_secret: API secrets are base64.
        hex_keys: API keys are addresses and API secrets private keys: `0x` and 40 or 64
            hexadecimal digits, whose case means nothing.
        vet: Says what is wrong with credentials that can be told to be wrong, beginning with
            the setting's name; empty for nothing. May need an extra.
        hashes: Accepted values of an account's `hash`, default first; empty when there is
            only one.
        categories: Accepted values of an account's `category`, which such an account must
            have; empty where there is no choice.
        warning: What its users must know before they rely on it; empty for nothing.
        timers_at: The exchange whose accounts may hold this one's timers; empty for none.
        limits: The exchange's limits.
        bans: Whom the exchange refuses for a time when it has had enough: an address, or an
            account; empty if it is not known to.
        timer: Its own countdown; None without one.
        missing_max_ms: How long an order that it does not know may still appear; after that
            its cancel becomes a dead letter. `jobs.missing_max_ms` overrides it.
        tells_stops: Its list of open orders says which are stop orders.
        leaves_out: Which orders a list of the whole account does not show, in words; empty for
            none. A scope of the account says so where it ends.
        client_ids: What a strategy's own ids of orders look like; None where an order cannot
            be named by one. Never with a space, a comma or a `|`.
        lists_client_ids: Its list of open orders has the client order id of each.
        asks_past: Its orders that are no longer open may have to be asked about elsewhere:
            with `past` in a `QueryOrder`.
        scope_max: Most orders that one `CancelScope` reaches; 0 for all of the scope.
        spelling: Gives the one spelling of a pair that its documents use, of any that
            name it; what it does not know it leaves as it is.
        refuses_unknown_pairs: Its document says that a list of open orders of a pair that it
            does not know is refused. Only then does an empty list prove that nothing is open
            in a pair that no list of pairs has, nor a list of the account's orders.
        pair_lists: With `ListPairs`: the lists that make up all pairs, as `ListPairs.part`.
        pair_list_max_ms: How old a list of pairs may be before it is fetched again.
        unlisted_pairs: What pairs look like that none of these lists has.
        needs_asset: Requests name a pair by its `ListedPair.asset`, given as `Stamp.asset`.
        asset_in: Gives the asset id of a pair whose name alone tells it; empty for any other.
        pages_apart: A list of the account takes a request for each group of markets, also for
            those without an order. What its first page shows is canceled before others are read.
        pages_shift: Pages of open orders are counted by number, so that an order that is
            closed meanwhile moves others to a page that was read before. Such pages are read
            until two readings agree.
    """

    commands: frozenset[type[Command]]
    auth_modes: tuple[str, ...] = ()
    nonce_auth: frozenset[str] = frozenset()
    unordered_nonce: bool = False
    bulk_max: int = 0
    needs_token: bool = False
    needs_memo: bool = False
    needs_passphrase: bool = False
    credentials: tuple[str, ...] = ("api_key", "api_secret")
    unproven: bool = False
    base64_secret: bool = False
    hex_keys: bool = False
    vet: Callable[[Access], str] = accept
    hashes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    warning: str = ""
    timers_at: str = ""
    limits: tuple[Limit, ...] = ()
    bans: Literal["", "account", "ip"] = ""
    timer: Timer | None = None
    missing_max_ms: int = 5 * MINUTE_MS
    tells_stops: bool = False
    leaves_out: str = ""
    client_ids: IdForm | None = None
    lists_client_ids: bool = False
    asks_past: bool = False
    scope_max: int = 0
    spelling: Callable[[str], str] = str
    refuses_unknown_pairs: bool = False
    pair_lists: tuple[str, ...] = ("",)
    pair_list_max_ms: int = 60 * MINUTE_MS
    unlisted_pairs: re.Pattern[str] | None = None
    needs_asset: bool = False
    asset_in: Callable[[str], str] = no_asset
    pages_apart: bool = False
    pages_shift: bool = False


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base URLs from the exchange's documents."""

    production: str
    testnet: str | None = None
    others: tuple[str, ...] = ()


class Exchange(Protocol):
    """One exchange."""

    @property
    def name(self) -> str:
        """Name used in settings."""

    @property
    def hosts(self) -> Hosts:
        """Documented base URLs."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, and its limits."""

    def check(self, command: Command) -> None:
        """Refuse a command that this exchange cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send, once it has been checked as by `check`.

        Raises:
            InvalidCommand: As `check` does. Nothing else checks a job's command.
        """

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`.

        Never raises, for any bytes, status or headers.
        """


def retry_after_ms(
    headers: Mapping[str, str], *, longest_ms: int = RETRY_AFTER_MAX_MS
) -> int | None:
    """Read a `Retry-After` in seconds; dates and nonsense are None."""
    value = headers.get("retry-after", "").strip()
    if not value.isascii() or not value.isdigit() or len(value) > 6:  # noqa: PLR2004
        return None
    return min(int(value) * 1_000, longest_ms)
