"""One exchange of ccxt's in the place of all: what it makes of a reply is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from worker.exchanges.ccxt.profile import Profile
from worker.exchanges.ccxt.replies import read_reply
from worker.exchanges.ccxt.silent import Pass
from worker.model.commands import CancelOrder, CancelScope, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import Answer, Outcome, Unproven
from worker.model.wire import Reply

NOTHING = "the reply proves nothing of this order"
Reading = Callable[[Any], Any]


class Ccxt:
    """What ccxt is asked for, and what it makes of the JSON of a reply."""

    def __init__(self, reading: Reading, *, nonce: bool = False) -> None:
        self.reading = reading
        self.nonce = nonce
        self.entry = self
        self.passes: list[Pass] = []

    def prepare(self) -> str:
        """Return what stands for ccxt's exchange."""
        return "prepared"

    def run(self, template: str, command: Command, run: Pass) -> object:
        """Read a reply."""
        assert template == "prepared"
        assert isinstance(command, CancelOrder | QueryOrder | ListOpenOrders | CancelScope)
        assert run.reply is not None
        self.passes.append(run)
        return self.reading(run.reply[1])


def raising(error: BaseException) -> Reading:
    """Return a reading that fails."""

    def fail(_: object) -> object:
        raise error

    return fail


def as_it_is(body: object) -> object:
    """Read a body as the order's report."""
    return body


def answer(
    command: Command,
    body: object,
    reading: Reading = as_it_is,
    *,
    status: int = 200,
    profile: Profile | None = None,
    nonce: bool = False,
) -> Answer:
    """Return the answer to a reply, which names a wait of 3 s."""
    ccxt: Any = Ccxt(reading, nonce=nonce)
    reply = Reply(status, {"retry-after": "3"}, json.dumps(body).encode(), received_ms=0)
    found = read_reply(ccxt, profile, command, reply)
    for each in ccxt.passes:
        assert each.reply[0] is reply
        assert each.parses is (profile is None)
    return found


def unknown(why: str, shape: str) -> Unproven:
    """Return the answer to a reply that proves nothing."""
    return Unproven(Outcome.UNKNOWN, f"HTTP 200: {why}; {shape}")


def always(found: object) -> Reading:
    """Return a reading that does not depend on the reply."""
    return lambda _: found
