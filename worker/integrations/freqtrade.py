"""A dead man's switch for a freqtrade strategy, in live runs."""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from typing import Any

from freqtrade.enums import RunMode
from freqtrade.strategy import IStrategy

from worker.errors import CancelWorkerError, SwitchReplaced
from worker.integrations.session import Session

log = logging.getLogger(__name__)


class SwitchedStrategy(IStrategy):  # type: ignore[misc]
    """Base of a strategy whose orders are canceled if the bot falls silent.

    It covers every pair of the whitelist, and follows its changes. freqtrade logs and ignores
    what a strategy raises; so this refuses entries while there is no switch, and arms again
    with the next loop, unless another process has taken the switch over. A strategy that
    overrides one of these methods calls it by `super()`.

    A stop by signal or by `reload_config` disarms; a fatal error does not. After `/stop` the
    loop no longer runs: the switch trips, and the open orders are canceled.

    Attributes:
        switch_account: Alias of the account in the settings of cancel-worker.
        switch_timeout_ms: From the latest loop to the deadline; several times as long as a
            loop takes.
        switch_name: Of the switch; the bot's name by default.
    """

    switch_account: str = ""
    switch_timeout_ms: int = 120_000
    switch_name: str = ""
    switch_session: Session | None = None

    def bot_start(self, **options: Any) -> None:  # noqa: ANN401  freqtrade's signature
        """Arm the switch, in live runs only; if that fails, the bot does not start."""
        super().bot_start(**options)
        if self.config["runmode"] is not RunMode.LIVE:
            return
        name = self.switch_name or str(self.config.get("bot_name") or "freqtrade")
        self.switch_session = Session(
            self.switch_account, name=name, timeout_ms=self.switch_timeout_ms
        )
        self.switch_session.start(self._switch_pairs())

    def bot_loop_start(self, current_time: datetime, **options: Any) -> None:  # noqa: ANN401
        """Report progress, and arm again after the switch has ended or the whitelist changed."""
        super().bot_loop_start(current_time, **options)
        session = self.switch_session
        if session is None:
            return
        pairs = self._switch_pairs()
        try:
            session.progress()
            if session.pairs >= pairs:
                return
        except SwitchReplaced as error:
            log.error("another process holds the switch, entries are refused: %s", error)  # noqa: TRY400
            return
        except CancelWorkerError as error:
            log.error("the dead man's switch has ended, arming it again: %s", error)  # noqa: TRY400
        try:
            session.start(pairs)
        except CancelWorkerError as error:
            log.error("no dead man's switch, entries are refused: %s", error)  # noqa: TRY400

    def confirm_trade_entry(self, pair: str, *args: Any, **options: Any) -> bool:  # noqa: ANN401
        """Refuse an entry that no switch covers."""
        session = self.switch_session
        if session is not None:
            try:
                session.progress()
            except CancelWorkerError:
                return False
            if self._switch_pair(pair) not in session.pairs:
                return False
        return bool(super().confirm_trade_entry(pair, *args, **options))

    def ft_bot_cleanup(self) -> None:
        """Disarm, unless an error ends the bot."""
        super().ft_bot_cleanup()
        session, self.switch_session = self.switch_session, None
        if session is None:
            return
        error = sys.exc_info()[1]
        if error is not None and isinstance(error, Exception):
            log.warning("the switch stays armed, as an error ends the bot: %s", error)
            session.leave()
            return
        try:
            session.stop()
        except CancelWorkerError as failure:
            log.warning("the switch was not disarmed: %s", failure)

    def _switch_pairs(self) -> frozenset[str]:
        return frozenset(self._switch_pair(pair) for pair in self.dp.current_whitelist())

    def _switch_pair(self, pair: str) -> str:
        """Return a pair as the exchange writes it."""
        market = self.dp.market(pair)
        return str(market["id"]) if market else pair
