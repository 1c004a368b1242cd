"""A freqtrade strategy whose open orders are canceled if the bot falls silent for 2 minutes."""

from __future__ import annotations

from typing import Any

from worker.integrations.freqtrade import SwitchedStrategy


class Quiet(SwitchedStrategy):
    """Copy it to `user_data/strategies`; the account `bn` is in the settings of cancel-worker."""

    switch_account = "bn"
    switch_timeout_ms = 120_000
    timeframe = "5m"
    stoploss = -0.05
    minimal_roi = {"0": 0.02}  # noqa: RUF012  as freqtrade has it

    def populate_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:  # noqa: ANN401, ARG002
        """Add nothing."""
        return dataframe
