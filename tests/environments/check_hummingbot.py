"""The mixin for hummingbot, on its own strategy base; run by `ops/environments.py` beside it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hummingbot.core.clock import Clock, ClockMode
from hummingbot.core.data_type.common import OrderType
from hummingbot.strategy.strategy_v2_base import StrategyV2Base

from tests.environments.hummingbot_bot import PAIR, Connector, open_application
from tests.environments.stage import judge
from worker import AsyncProducer, CancelWorkerError, Producer, SwitchReplaced
from worker.config.settings import Settings
from worker.integrations.hummingbot import NotCoveredError, SwitchMixin

sys.path.insert(0, str(Path(__file__).parents[2] / "ops" / "examples"))

from hummingbot_strategy import QuoterConfig

T_MS = 60_000
ROUNDS = 2_000


class Grid(SwitchMixin, StrategyV2Base):  # type: ignore[misc]
    """Counts its ticks, and notes what the mixin reports."""

    def __init__(self, producer: AsyncProducer, placed: list[str], timeout_ms: int) -> None:
        super().__init__({"binance": Connector(placed.append)}, QuoterConfig())
        self.ticks = 0
        self.fails = False
        self.errors: list[CancelWorkerError] = []
        self.use_switch({"binance": "bn"}, timeout_ms=timeout_ms, name="grid", producer=producer)

    def on_tick(self) -> None:
        """Count."""
        self.ticks += 1
        if self.fails:
            raise RuntimeError("the strategy's own")

    def on_switch_error(self, error: CancelWorkerError) -> None:
        """Note it."""
        self.errors.append(error)
        super().on_switch_error(error)


class Bot:
    """A strategy under hummingbot's clock, which the test moves."""

    def __init__(self, grid: Grid, placed: list[str]) -> None:
        self.grid = grid
        self.placed = placed
        self.clock = Clock(ClockMode.BACKTEST, 1.0, 0.0, 1e9)
        self.clock.add_iterator(grid)
        self.now = 0.0

    def tick(self) -> None:
        """Let one second pass."""
        self.now += 1.0
        self.clock.backtest_til(self.now)

    async def until(self, holds: Callable[[], object]) -> None:
        """Tick until something holds."""
        for _ in range(ROUNDS):
            if holds():
                return
            self.tick()
            await asyncio.sleep(0.01)
        raise AssertionError(self.grid.errors)

    def buy(self) -> None:
        """Place an order."""
        self.grid.buy("binance", PAIR, Decimal("0.001"), OrderType.LIMIT, Decimal(20_000))


Body = Callable[[Bot], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url, redis_timeout_ms=10_000, accounts={"bn": {"exchange": "binance"}}
    )


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Run:
    """Run a test's body in an event loop."""

    async def main(body: Body, timeout_ms: int) -> None:
        open_application(tmp_path)
        Grid.init_markets(QuoterConfig())
        placed: list[str] = []
        async with AsyncProducer(settings) as producer:
            await body(Bot(Grid(producer, placed, timeout_ms), placed))

    return lambda body, timeout_ms=T_MS: asyncio.run(main(body, timeout_ms))


def states(settings: Settings) -> list[tuple[str, tuple[str, ...], str]]:
    """Return state, pairs and name of each switch, those changed last first."""
    return [(str(each.state), each.pairs, each.name) for each in Producer(settings).switches()]


def test_a_strategy_is_covered_until_it_stops(settings: Settings, run: Run) -> None:
    """Not ticked and no order before the switch is armed; disarmed after its own stop."""

    async def body(bot: Bot) -> None:
        bot.tick()
        assert bot.grid.ticks == 0
        with pytest.raises(NotCoveredError, match="no switch covers orders at binance"):
            bot.buy()
        await bot.until(lambda: bot.grid.ticks)
        assert states(settings) == [("armed", ("BTCUSDT",), "grid")]
        bot.buy()
        assert bot.placed == ["buy-BTC-USDT-1"]
        await bot.grid.on_stop()
        assert bot.grid.executor_orchestrator is not None
        assert states(settings) == [("disarmed", ("BTCUSDT",), "grid")]
        assert bot.grid.errors == []

    run(body)


def test_a_strategy_that_was_replaced_trades_no_more(settings: Settings, run: Run) -> None:
    """It is not ticked, its orders are refused, and the successor's switch stays armed."""

    async def body(bot: Bot) -> None:
        await bot.until(lambda: bot.grid.ticks)
        second = Producer(settings).arm("bn", pairs=["BTCUSDT"], timeout_ms=T_MS, name="grid")
        await bot.until(lambda: bot.grid.errors)
        assert isinstance(bot.grid.errors[0], SwitchReplaced)
        before = bot.grid.ticks
        for _ in range(20):
            bot.tick()
            await asyncio.sleep(0.01)
        assert bot.grid.ticks == before
        with pytest.raises(NotCoveredError):
            bot.buy()
        await bot.grid.on_stop()
        assert second.beat().left_ms > 0

    run(body, timeout_ms=1_500)


def test_an_ended_switch_is_armed_again(settings: Settings, run: Run) -> None:
    """After a disarm elsewhere, or a trip, no order is placed until it is."""

    async def body(bot: Bot) -> None:
        await bot.until(lambda: bot.grid.ticks)
        (record,) = Producer(settings).switches()
        Producer(settings).switch(record.id).disarm()
        await bot.until(lambda: bot.grid.errors)
        before = bot.grid.ticks
        await bot.until(lambda: bot.grid.ticks > before)
        assert ("armed", ("BTCUSDT",), "grid") in states(settings)
        await bot.grid.on_stop()
        assert "armed" not in {state for state, *_ in states(settings)}

    run(body, timeout_ms=1_500)


def test_a_tick_that_fails_is_no_progress(run: Run) -> None:
    """A strategy that only raises, which hummingbot logs, lets its switch trip."""

    async def body(bot: Bot) -> None:
        await bot.until(lambda: bot.grid.ticks)
        bot.grid.fails = True
        guard = bot.grid._switch_guard  # noqa: SLF001
        assert guard is not None
        (heart,) = guard._hearts  # noqa: SLF001
        before = heart._pulse.progress_ms  # noqa: SLF001
        with pytest.raises(RuntimeError):
            bot.grid.tick(bot.now)
        assert heart._pulse.progress_ms == before  # noqa: SLF001
        bot.grid.fails = False
        bot.grid.tick(bot.now)
        assert heart._pulse.progress_ms > before  # noqa: SLF001
        await bot.grid.on_stop()

    run(body)


def test_a_stop_that_fails_disarms_nothing(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strategy may have left orders that it meant to cancel."""

    async def fail(_: StrategyV2Base) -> None:
        raise RuntimeError("cannot close")

    async def body(bot: Bot) -> None:
        await bot.until(lambda: bot.grid.ticks)
        with monkeypatch.context() as patch:
            patch.setattr(StrategyV2Base, "on_stop", fail)
            with pytest.raises(RuntimeError):
                await bot.grid.on_stop()
        assert states(settings) == [("armed", ("BTCUSDT",), "grid")]
        await bot.grid.on_stop()

    run(body)


def test_the_example_dies_and_stops(redis_url: str, tmp_path: Path) -> None:
    """Killed, its order is off the exchange by the deadline; stopped, its switch is disarmed."""
    judge(redis_url, tmp_path, "hummingbot_script.py", stopped_by=signal.SIGTERM)
