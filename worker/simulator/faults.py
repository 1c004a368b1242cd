"""The faults there are: what is applied, what is answered, how the answer leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.simulator.exchange import Call, Exchange
from worker.simulator.journal import Reading
from worker.simulator.venues import SIMULATED
from worker.simulator.wire import Manner, Reply, html_reply

_GARBAGE = Reply(200, b'\x1f\x8b\x00{"success": 1, "code": 2\xff')


def _html(call: Call) -> Reply:
    return html_reply(call.dice.choice((502, 503, 504)))


def _any(reading: Reading) -> bool:
    del reading
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        applied: Whether the request takes effect; None leaves that to chance.
        manner: How the reply leaves.
        reply: Instead of the exchange's own; None keeps that.
        own: The reply is one of the exchange's `fault_replies`; elsewhere the
            fault has no meaning.
        meets: Whether it has a meaning for this request.
    """

    name: str
    applied: bool | None
    manner: Manner = Manner.WHOLE
    reply: Callable[[Call], Reply] | None = None
    own: bool = False
    meets: Callable[[Reading], bool] = _any

    def means_something(self, exchange: Exchange) -> bool:
        """Say whether it is drawn on an exchange."""
        return not self.own or self.name in exchange.fault_replies

    def reply_on(self, exchange: Exchange) -> Callable[[Call], Reply] | None:
        """Return what answers in the exchange's place, or None."""
        return exchange.fault_replies[self.name] if self.own else self.reply


def _table(*faults: Fault) -> Mapping[str, Fault]:
    return {fault.name: fault for fault in faults}


FAULTS = _table(
    Fault("accept_then_drop", applied=True, manner=Manner.NEVER),
    Fault("drop_before", applied=False, manner=Manner.NEVER),
    Fault("delay", applied=True, manner=Manner.LATE),
    Fault("drip", applied=True, manner=Manner.DRIPPED),
    Fault("half_body", applied=True, manner=Manner.HALF),
    Fault("html_5xx", applied=None, reply=_html),
    Fault("garbage", applied=True, reply=lambda _: _GARBAGE),
    Fault("throttle", applied=False, own=True),
    Fault("throttle_retry_after", applied=False, own=True),
    Fault("reject_nonce", applied=False, own=True, meets=lambda it: it.nonce is not None),
    *(
        Fault(own.name, own.applied, own=True, meets=own.meets)
        for exchange in SIMULATED
        for own in exchange.own_faults
    ),
)


def find_fault(name: str) -> Fault:
    """Return the fault of this name.

    Raises:
        ValueError: There is none.
    """
    if name not in FAULTS:
        raise ValueError(f"no fault is called {name!r}; there are: {', '.join(FAULTS)}")
    return FAULTS[name]
