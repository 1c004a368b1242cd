"""Cancels from the strategy's own process, as verbs of a producer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from worker.client.commands import cancel_of_all, cancels, one_order
from worker.client.ticket import Result
from worker.config.client_settings import ProducerSettings
from worker.extras import needing

if TYPE_CHECKING:
    from worker.client.direct import DirectSender

DIRECT_MS = 30_000
"""Default time that a direct cancel is tried."""


class DirectVerbs:
    """The verbs that need no Redis and no workers."""

    def __init__(self, settings: ProducerSettings) -> None:
        self._settings = settings
        self._direct: DirectSender | None = None
        self._lock = threading.Lock()

    def cancel_direct(
        self,
        account: str,
        order_id: str | None = None,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_id: str | None = None,
        timeout_ms: int = DIRECT_MS,
    ) -> Result:
        """Cancel one order from this process, without the workers.

        For outages of Redis. Needs the account's credentials in the settings. It
        sends and judges requests as a worker does, but records nothing: after
        `timeout_ms` no process continues. If Redis answers, limits and nonces are
        shared with the workers. If not, this process keeps its own, and running
        workers do not see them.

        Args:
            account: Alias from the settings.
            order_id: The exchange's order id; or
            client_order_id: The id that the strategy gave the order.
            pair: If the exchange needs it, such as `btc_idr`.
            side: `buy` or `sell`, if the exchange needs it.
            timeout_ms: How long to try.

        Returns:
            The proven outcome; `UNKNOWN` with the state `dead` if nothing is proven
            in time, `UNAUTHORIZED` if the exchange refused the credentials for 3 s.

        Raises:
            UnknownAccount: The settings have no such account. Nothing was sent.
            InvalidCommand: An argument is missing or wrong. Nothing was sent.
            SettingsError: A secret is missing. Nothing was sent.
            ExtraMissing: `cancel-worker[worker]` is not installed. Nothing was sent.
        """
        sender, names = self._sender, one_order(order_id, client_order_id)
        jobs = cancels(sender.exchange(account), account, **names, pair=pair, side=side)
        return sender.run(jobs, timeout_ms=timeout_ms)[0]

    def cancel_all_direct(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
        timeout_ms: int = DIRECT_MS,
    ) -> Result:
        """Cancel all open orders of a scope from this process.

        As `cancel_direct`. The outcome is proven once the exchange lists no open
        order in the scope.

        Raises:
            UnknownAccount: The settings have no such account. Nothing was sent.
            InvalidCommand: The exchange needs a narrower scope, or an argument
                is wrong. Nothing was sent.
            SettingsError: A secret is missing. Nothing was sent.
            ExtraMissing: `cancel-worker[worker]` is not installed. Nothing was sent.
        """
        sender = self._sender
        job = cancel_of_all(
            sender.exchange(account),
            account,
            pair=pair,
            side=side,
            client_id_prefix=client_id_prefix,
            stops=stops,
        )
        return sender.run([job], timeout_ms=timeout_ms)[0]

    @property
    def _sender(self) -> DirectSender:
        with self._lock, needing("a direct cancel"):
            if self._direct is None:
                from worker.client.direct import DirectSender  # noqa: PLC0415  needs [worker]

                self._direct = DirectSender(self._settings)
            return self._direct
