"""A dead man's switch for an actor or a strategy of nautilus_trader."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from nautilus_trader.common.component import TestClock
from nautilus_trader.model.identifiers import InstrumentId

from worker.client.producer import Producer
from worker.errors import CancelWorkerError
from worker.integrations.session import Session

TICKS = 3
"""Reports of progress in one timeout."""


class SwitchMixin:
    """Comes before `Strategy` or `Actor` among the bases; calls are of the node's event loop.

    A timer of the node's clock reports progress, so that a stuck event loop trips the switch;
    heartbeats are sent from a thread. `on_stop` disarms; a crash does not. When the switch ends,
    `on_switch_error` is called, which stops the component.

    A component that overrides `on_start` or `on_stop` calls it by `super()`.
    """

    _switch_session: Session | None = None

    def use_switch(
        self,
        account: str,
        instruments: Sequence[InstrumentId],
        *,
        timeout_ms: int,
        name: str,
        producer: Producer | None = None,
        in_backtest: bool = False,
    ) -> None:
        """Say what the switch covers; call it in `__init__`, and nothing is armed yet.

        Args:
            account: Alias of the account in the settings of cancel-worker.
            instruments: All their orders on the account are covered.
            timeout_ms: From the latest progress to the deadline.
            name: Of the switch; a restarted node takes it over.
            producer: Default: one from the settings.
            in_backtest: Arm it with a simulated clock too.
        """
        self._switch_options: dict[str, Any] = {
            "account": account,
            "timeout_ms": timeout_ms,
            "name": name,
            "producer": producer,
        }
        self._switch_instruments = list(instruments)
        self._switch_in_backtest = in_backtest

    def on_start(self: Any) -> None:
        """Arm the switch."""
        super().on_start()  # type: ignore[misc]
        if isinstance(self.clock, TestClock) and not self._switch_in_backtest:
            return
        session = Session(**self._switch_options)
        session.start(self._switch_pair(each) for each in self._switch_instruments)
        self._switch_session = session
        self.clock.set_timer(
            f"cancel-worker {self.id}",
            timedelta(milliseconds=session.timeout_ms / TICKS),
            callback=self._report_progress,
        )

    def on_stop(self: Any) -> None:
        """Disarm, after the component's own stop."""
        super().on_stop()  # type: ignore[misc]
        session, self._switch_session = self._switch_session, None
        if session is None:
            return
        self.clock.cancel_timer(f"cancel-worker {self.id}")
        try:
            session.stop()
        except CancelWorkerError as error:
            self.log.warning(f"the switch was not disarmed: {error}")  # noqa: G004  nautilus formats nothing

    def on_switch_error(self: Any, error: CancelWorkerError) -> None:
        """Stop the component: the switch has ended, or Redis is out of reach."""
        self.log.error(f"the dead man's switch has ended: {error}")  # noqa: G004  nautilus formats nothing
        self.stop()

    def _report_progress(self: Any, _event: object) -> None:
        session = self._switch_session
        if session is None:
            return
        try:
            session.progress()
        except CancelWorkerError as error:
            self.on_switch_error(error)

    def _switch_pair(self: Any, instrument_id: InstrumentId) -> str:
        """Return an instrument as the exchange writes it."""
        instrument = self.cache.instrument(instrument_id)
        return str(instrument.raw_symbol if instrument else instrument_id.symbol)
