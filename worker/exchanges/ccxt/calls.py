"""Which call of ccxt carries out a command: signed on the first pass, read on the second."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from worker.errors import InvalidCommand
from worker.exchanges.base import Access
from worker.exchanges.ccxt.profile import Profile
from worker.exchanges.ccxt.silent import ODD, Pass, Signed, Template, Wants, body_of, text_of
from worker.exchanges.ccxt.table import CREDENTIALS, Call, Entry
from worker.exchanges.replies import readable
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.wire import Request

MARKS: Final = frozenset(
    {
        "apca-partner-id",
        "broker-id",
        "broker_sign",
        "hibachi-client",
        "input-source",
        "kc-api-partner",
        "kc-api-partner-sign",
        "kc-api-partner-verify",
        "kc-broker-name",
        "open-api-partner",
        "paradex-partner",
        "partner-id",
        "referer",
        "referrer",
        "source",
        "user-agent",
        "x-bb-api-platform",
        "x-bitopro-api",
        "x-broker-id",
        "x-channel-api-code",
        "x-fb-client",
        "x-fb-client-version",
        "x-gate-channel-id",
        "x-source-key",
    }
)
"""Headers by which ccxt names itself, as a broker or as a program. None of them is signed."""
SAMPLE: Final[Mapping[str, str]] = {
    "apiKey": "account-sample",
    "secret": "5a" * 32,
    "password": "sample",
    "uid": "1",
    "walletAddress": "0x" + "5a" * 20,
    "privateKey": "0x" + "5a" * 32,
}
"""Credentials of the second pass, which sends nothing."""
KEPT_MAX: Final = 64
"""Accounts of one exchange whose credentials are kept ready."""


@dataclass(frozen=True, slots=True)
class Calls:
    """ccxt's calls for one exchange. Safe to use from many threads."""

    exchange_id: str
    entry: Entry
    profile: Profile | None = None
    _templates: dict[Access | None, Template] = field(default_factory=dict, compare=False)

    def prepare(self, access: Access | None = None) -> Template:
        """Return the exchange with an account's credentials; the first time imports it.

        Raises:
            ExtraMissing: ccxt is not installed, or in another version.
        """
        found = self._templates.get(access)
        if found is None:
            given = SAMPLE if access is None else credentials(self.entry, access)
            own = self.profile.options if self.profile else {}
            found = Template.of(
                self.exchange_id,
                given,
                kind=self.entry.kind,
                options={**self.entry.options, **own},
            )
            if self.profile and self.profile.accounts:
                account: dict[str, object] = {
                    "id": given.get("uid"),
                    "type": self.entry.kind,
                    "info": {},
                }
                found.instance.accounts = [account]
            if len(self._templates) >= KEPT_MAX:
                self._templates.clear()
            self._templates[access] = found
        return found

    def sign(self, command: Command, access: Access, *, now_ms: int, nonce: int | None) -> Request:
        """Return the one request of a command, signed.

        Raises:
            InvalidCommand: ccxt does not form it, or would send another one first.
        """
        template = self.prepare(access)
        run = Pass(now_ms=now_ms if nonce is None else nonce, nonce=nonce)
        try:
            self.run(template, command, run)
        except Signed as signed:
            return self._request(command, signed, access)
        except Wants as wants:
            raise InvalidCommand(
                f"ccxt would send {readable(wants.endpoint)} first: not sent"
            ) from None
        except Exception as error:  # noqa: BLE001  ccxt raises anything
            words = readable(f"{type(error).__name__}: {error}")
            raise InvalidCommand(f"ccxt forms no request of this: {words}") from None
        raise InvalidCommand("ccxt forms no request of this")

    def run(self, template: Template, command: Command, run: Pass) -> Any:  # noqa: ANN401
        """Call ccxt for a command: see `Silent.request` for what ends the call."""
        pair = self._pair(command)
        made = template.call(run, pair)
        extra = self.profile.params_of(command) if self.profile else {}
        match command:
            case CancelOrder(order_id=order_id):
                return made.cancel_order(order_id, pair, extra)
            case QueryOrder(order_id=order_id):
                method = self.profile.query if self.profile else "fetch_order"
                return getattr(made, method)(order_id, pair, extra)
            case ListOpenOrders():
                return made.fetch_open_orders(pair, None, None, extra)
            case SetCountdown() if self.profile and self.profile.timer:
                timer = self.profile.timer
                return getattr(made, timer.call)(timer.sent(command))
            case _:
                raise InvalidCommand(f"no request carries out {type(command).__name__}")

    def _request(self, command: Command, signed: Signed, access: Access) -> Request:
        meant = self._meant(command)
        if signed.endpoint != meant:
            raise InvalidCommand(f"ccxt would send {readable(signed.endpoint)} first: not sent")
        request, body, text = signed.request, body_of(signed.request), text_of(signed.request)
        if body is None or ODD in text or getattr(command, "order_id", "") not in text:
            raise InvalidCommand("ccxt forms no request that names this order alone: not sent")
        headers = {
            str(name): str(value)
            for name, value in (request.get("headers") or {}).items()
            if name.casefold() not in MARKS
        }
        url = moved(str(request["url"]), self.entry.origin, access.base_url)
        return Request(str(request["method"]), url, headers, body)

    def _meant(self, command: Command) -> str:
        call = self._call(command)
        if call is not None:
            return call.paired if self._pair(command) else call.plain
        timer = self.profile.timer if self.profile else None
        return timer.endpoint if timer else ""

    def _call(self, command: Command) -> Call | None:
        match command:
            case CancelOrder():
                return self.entry.cancel
            case QueryOrder():
                return self.entry.query
            case ListOpenOrders():
                return self.entry.listing
            case _:
                return None

    def _pair(self, command: Command) -> str | None:
        """Return the pair that ccxt is given: none where a request cannot be formed of it."""
        call = self._call(command)
        return getattr(command, "pair", None) if call is not None and call.paired else None


def credentials(entry: Entry, access: Access) -> dict[str, str]:
    """Return an account's credentials by ccxt's names."""
    by_name = {
        "api_key": access.api_key,
        "api_secret": access.api_secret,
        "passphrase": access.memo,
        "uid": access.uid,
        "wallet": access.wallet,
        "private_key": access.private_key,
    }
    found = {CREDENTIALS[name]: by_name[name] for name in CREDENTIALS if by_name[name]}
    if "uid" in found:
        found["accountId"] = found["uid"]
    if "api_key" not in entry.needs:
        found.pop("apiKey", None)
    return found


def moved(url: str, origin: str, base_url: str) -> str:
    """Return an address with another origin, path and query kept; as it is for its own."""
    base = base_url.rstrip("/")
    if base == origin:
        return url
    _, _, rest = url.partition("://")
    slash = rest.find("/")
    with contextlib.suppress(ValueError):
        slash = min(each for each in (slash, rest.find("?")) if each >= 0)
    return base + (rest[slash:] if slash >= 0 else "")
