"""A switch with its heartbeats, as the mixins of all frameworks use it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from worker.client.beating import OnError
from worker.client.heartbeat import Heartbeat
from worker.client.producer import Producer
from worker.client.switch import Switch
from worker.errors import InvalidCommand


class Session:
    """Arms a named switch on pairs, and sends its heartbeats while there is progress.

    Args:
        account: Alias of the account.
        name: Of the switch; see `Producer.arm`. A restarted strategy takes it over.
        timeout_ms: From the latest progress to the deadline.
        producer: Default: one from the settings.
        on_error: As for `Heartbeat`.
        client_id_prefix: Covers only orders whose client order ids begin with this.
    """

    def __init__(
        self,
        account: str,
        *,
        name: str,
        timeout_ms: int,
        producer: Producer | None = None,
        on_error: OnError | None = None,
        client_id_prefix: str | None = None,
    ) -> None:
        self.account = account
        self.name = name
        self.timeout_ms = timeout_ms
        self.producer = Producer() if producer is None else producer
        self.client_id_prefix = client_id_prefix
        self.pairs: frozenset[str] = frozenset()
        self.switch: Switch | None = None
        self._on_error = on_error
        self._heart: Heartbeat | None = None
        self._lock = threading.Lock()

    def start(self, pairs: Iterable[str]) -> Switch:
        """Arm the switch for these pairs, and start its heartbeats.

        An armed switch of this name is taken over, or its scope is swapped in one step.

        Raises:
            CancelWorkerError: As for `Producer.arm`. Former heartbeats continue.
        """
        wanted = frozenset(pairs)
        if not wanted:
            raise InvalidCommand("a switch needs at least one pair")
        with self._lock:
            former = self._heart
            if former is not None:
                former.stop()  # it would report that this replaces its switch
            try:
                switch = self.producer.arm(
                    self.account,
                    pairs=sorted(wanted),
                    client_id_prefix=self.client_id_prefix,
                    timeout_ms=self.timeout_ms,
                    name=self.name,
                    replace=True,
                )
            except BaseException:
                if former is not None:
                    former.start()
                raise
            self._heart = Heartbeat(switch, on_error=self._on_error)
            self._heart.start()
            self.switch, self.pairs = switch, wanted
            return switch

    def progress(self) -> None:
        """Report progress; it takes about a microsecond, and does no I/O.

        Raises:
            SwitchError: The switch has ended: place no more orders, and start again.
            StoreUnavailable: No heartbeat has reached Redis by the deadline.
        """
        heart = self._heart
        if heart is not None:
            heart.progress()

    def stop(self) -> None:
        """Stop the heartbeats and disarm; the orders stay open. Stopping twice is no error.

        Raises:
            CancelWorkerError: As for `Switch.disarm`. The switch then trips, as the
                heartbeats have stopped.
        """
        with self._lock:
            self._rest()
            if self.switch is not None:
                self.switch.disarm()
                self.switch = None

    def leave(self) -> None:
        """Stop the heartbeats alone: the switch stays armed, and trips at its deadline."""
        with self._lock:
            self._rest()

    def _rest(self) -> None:
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
