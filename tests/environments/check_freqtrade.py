"""The base of freqtrade strategies, on freqtrade itself; run by `ops/environments.py` beside it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import RunMode
from freqtrade.strategy.strategy_wrapper import strategy_safe_wrapper

from tests.environments.stage import judge
from tests.support.polling import eventually
from worker import Producer
from worker.config.settings import Settings
from worker.integrations.freqtrade import SwitchedStrategy
from worker.integrations.session import Session

T_MS = 60_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIRS = ["BTC/USDT", "ETH/USDT"]


class Grid(SwitchedStrategy):
    """A strategy without signals."""

    switch_account = "bn"
    switch_timeout_ms = T_MS
    timeframe = "1h"
    stoploss = -0.1
    minimal_roi = {"0": 1}  # noqa: RUF012  freqtrade's way

    def populate_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:  # noqa: ARG002
        """Add nothing."""
        return dataframe


@pytest.fixture
def producer(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Producer:
    made = Producer(
        Settings(
            redis_url=redis_url, redis_timeout_ms=10_000, accounts={"bn": {"exchange": "binance"}}
        )
    )
    monkeypatch.setattr("worker.integrations.session.Producer", lambda: made)
    return made


def bot(mode: RunMode = RunMode.LIVE) -> tuple[Grid, list[str]]:
    """Return a strategy with freqtrade's data provider, and its whitelist."""
    config: dict[str, Any] = {"runmode": mode, "bot_name": "grid", "stake_currency": "USDT"}
    whitelist = PAIRS[:1]
    exchange: Any = SimpleNamespace(markets={each: {"id": each.replace("/", "")} for each in PAIRS})
    lists: Any = SimpleNamespace(whitelist=whitelist)
    strategy = Grid(config)
    strategy.dp = DataProvider(config, exchange, lists)
    return strategy, whitelist


def loop(strategy: Grid) -> None:
    """Begin an iteration, as freqtrade does."""
    strategy_safe_wrapper(strategy.bot_loop_start, supress_error=True)(current_time=NOW)


def enters(strategy: Grid, pair: str = PAIRS[0]) -> bool:
    """Ask for an entry, as freqtrade does."""
    confirm = strategy_safe_wrapper(strategy.confirm_trade_entry, default_retval=True)
    allowed: bool = confirm(
        pair=pair,
        order_type="limit",
        amount=1.0,
        rate=1.0,
        time_in_force="GTC",
        current_time=NOW,
        entry_tag=None,
        side="long",
    )
    return allowed


def states(producer: Producer) -> list[tuple[str, tuple[str, ...], str]]:
    """Return state, pairs and name of each switch, those changed last first."""
    return [(str(each.state), each.pairs, each.name) for each in producer.switches()]


def session(strategy: Grid) -> Session:
    """Return the session of a live strategy."""
    assert strategy.switch_session is not None
    return strategy.switch_session


def test_a_live_bot_is_covered_until_it_stops(producer: Producer) -> None:
    """Armed by `bot_start`, disarmed by a stop; entries are admitted in between."""
    strategy, _ = bot()
    strategy.ft_bot_start()
    loop(strategy)
    assert enters(strategy)
    assert states(producer) == [("armed", ("BTCUSDT",), "grid")]
    strategy.ft_bot_cleanup()
    assert states(producer) == [("disarmed", ("BTCUSDT",), "grid")]


def test_a_dry_run_arms_nothing(producer: Producer) -> None:
    """Its orders are not on the exchange."""
    strategy, _ = bot(RunMode.DRY_RUN)
    strategy.ft_bot_start()
    loop(strategy)
    assert enters(strategy)
    strategy.ft_bot_cleanup()
    assert states(producer) == []


def test_the_scope_follows_the_whitelist(producer: Producer) -> None:
    """A pair without a switch is not entered before the next loop."""
    strategy, whitelist = bot()
    strategy.ft_bot_start()
    whitelist.append(PAIRS[1])
    assert not enters(strategy, PAIRS[1])
    loop(strategy)
    assert enters(strategy, PAIRS[1])
    assert ("armed", ("BTCUSDT", "ETHUSDT"), "grid") in states(producer)
    assert ("disarmed", ("BTCUSDT",), "grid") in states(producer)
    strategy.ft_bot_cleanup()


def test_a_bot_that_was_replaced_enters_no_more(producer: Producer) -> None:
    """Freqtrade ignores what a strategy raises; the successor keeps its switch."""
    Grid.switch_timeout_ms = 1_500
    try:
        strategy, _ = bot()
        strategy.ft_bot_start()
    finally:
        Grid.switch_timeout_ms = T_MS
    second = producer.arm("bn", pairs=["BTCUSDT"], timeout_ms=T_MS, name="grid")
    eventually(lambda: not enters(strategy))
    loop(strategy)
    assert not enters(strategy)
    strategy.ft_bot_cleanup()
    assert second.beat().left_ms > 0


def test_an_ended_switch_is_armed_again(producer: Producer) -> None:
    """After a disarm elsewhere, or a trip, the next loop arms again."""
    strategy, _ = bot()
    strategy.ft_bot_start()
    former = session(strategy).switch
    assert former is not None
    former.disarm()
    heart = session(strategy)._heart  # noqa: SLF001
    assert heart is not None
    heart._beat(heart._pulse)  # noqa: SLF001
    assert not enters(strategy)
    loop(strategy)
    assert enters(strategy)
    assert ("armed", ("BTCUSDT",), "grid") in states(producer)
    strategy.ft_bot_cleanup()


@pytest.mark.parametrize(
    ("error", "state"),
    [(RuntimeError(), "armed"), (KeyboardInterrupt(), "disarmed"), (SystemExit(), "disarmed")],
)
def test_a_fatal_error_leaves_the_switch_armed(
    producer: Producer, error: BaseException, state: str
) -> None:
    """Freqtrade cleans up in `finally` after an error and after a signal alike."""
    strategy, _ = bot()
    strategy.ft_bot_start()

    def trade() -> None:
        try:
            raise error
        finally:
            strategy.ft_bot_cleanup()

    with pytest.raises(type(error)):
        trade()
    assert states(producer) == [(state, ("BTCUSDT",), "grid")]


def test_the_example_dies_and_stops(redis_url: str, tmp_path: Path) -> None:
    """Killed, its order is off the exchange by the deadline; stopped, its switch is disarmed."""
    judge(redis_url, tmp_path, "freqtrade_bot.py", stopped_by=signal.SIGTERM)
