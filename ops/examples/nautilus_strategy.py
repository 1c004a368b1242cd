"""A nautilus_trader strategy whose orders come off if its node falls silent for 30 s."""

from __future__ import annotations

from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from worker.integrations.nautilus import SwitchMixin


class Quoter(SwitchMixin, Strategy):  # type: ignore[misc]
    """Needs the account `bn` in the settings of cancel-worker."""

    def __init__(self, instrument: InstrumentId) -> None:
        super().__init__()
        self.instrument = instrument
        self.use_switch("bn", [instrument], timeout_ms=30_000, name="quoter")

    def on_start(self) -> None:
        """Arm the switch, by the mixin, before anything is placed."""
        super().on_start()
        self.subscribe_quote_ticks(self.instrument)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Trade here."""
