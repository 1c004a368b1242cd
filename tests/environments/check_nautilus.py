"""The mixin for nautilus_trader, in its backtest engine; run by `ops/environments.py` beside it."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from tests.environments.stage import judge
from worker import Producer
from worker.config.settings import Settings
from worker.errors import CancelWorkerError
from worker.integrations.nautilus import SwitchMixin

T_MS = 30_000
QUOTES = 60
START_NS = 1_767_225_600_000_000_000
INSTRUMENT = TestInstrumentProvider.btcusdt_binance()


class Grid(SwitchMixin, Strategy):  # type: ignore[misc]
    """Places one resting order, and notes the state of its switch with each quote."""

    def __init__(self, producer: Producer, *, in_backtest: bool, takeover: bool = False) -> None:
        super().__init__()
        self.producer = producer
        self.takeover = takeover
        self.seen: list[str] = []
        self.errors: list[CancelWorkerError] = []
        options: dict[str, Any] = {"timeout_ms": T_MS, "name": "grid", "in_backtest": in_backtest}
        self.use_switch("bn", [INSTRUMENT.id], producer=producer, **options)

    def on_start(self) -> None:
        """Arm by the mixin, then subscribe."""
        super().on_start()
        self.subscribe_quote_ticks(INSTRUMENT.id)

    def on_quote_tick(self, _tick: QuoteTick) -> None:
        """Note the switch's state."""
        states = [str(each.state) for each in self.producer.switches()]
        self.seen.append(",".join(states))
        if len(self.seen) == 1:
            size, price = Quantity.from_str("0.010000"), Price.from_str("100.00")
            self.submit_order(self.order_factory.limit(INSTRUMENT.id, OrderSide.BUY, size, price))
            if self.takeover:
                self.producer.arm("bn", pairs=["BTCUSDT"], timeout_ms=T_MS, name="grid")
                session = self._switch_session
                assert session is not None
                session._heart._beat(session._heart._pulse)  # type: ignore[union-attr]  # noqa: SLF001

    def on_switch_error(self, error: CancelWorkerError) -> None:
        """Note it, and stop."""
        self.errors.append(error)
        super().on_switch_error(error)


class Watch(SwitchMixin, Actor):  # type: ignore[misc]
    """An actor that only keeps a switch."""

    def __init__(self, producer: Producer) -> None:
        super().__init__()
        options: dict[str, Any] = {"timeout_ms": T_MS, "name": "watch", "in_backtest": True}
        self.use_switch("bn", [INSTRUMENT.id], producer=producer, **options)


@pytest.fixture
def producer(redis_url: str) -> Producer:
    return Producer(
        Settings(
            redis_url=redis_url, redis_timeout_ms=10_000, accounts={"bn": {"exchange": "binance"}}
        )
    )


def backtest(*, strategy: Strategy | None = None, actor: Actor | None = None) -> None:
    """Run quotes, one a second, through nautilus's engine."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=Venue("BINANCE"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(1_000_000, USDT)],
        base_currency=None,
    )
    engine.add_instrument(INSTRUMENT)
    size = Quantity.from_str("1.000000")
    engine.add_data(
        [
            QuoteTick(
                INSTRUMENT.id,
                Price.from_str(f"{Decimal(50_000 + n):.2f}"),
                Price.from_str(f"{Decimal(50_001 + n):.2f}"),
                size,
                size,
                START_NS + n * 1_000_000_000,
                START_NS + n * 1_000_000_000,
            )
            for n in range(QUOTES)
        ]
    )
    if strategy is not None:
        engine.add_strategy(strategy)
    if actor is not None:
        engine.add_actor(actor)
    engine.run()
    engine.dispose()


def states(producer: Producer) -> list[tuple[str, tuple[str, ...], str]]:
    """Return state, pairs and name of each switch."""
    return [(str(each.state), each.pairs, each.name) for each in producer.switches()]


def test_a_strategy_is_covered_while_it_runs(producer: Producer) -> None:
    """Armed from `on_start`, disarmed by `on_stop`, on the exchange's own name of the pair."""
    grid = Grid(producer, in_backtest=True)
    backtest(strategy=grid)
    assert grid.seen == ["armed"] * QUOTES
    assert grid.errors == []
    assert states(producer) == [("disarmed", ("BTCUSDT",), "grid")]


def test_an_actor_is_covered_too(producer: Producer) -> None:
    """The same mixin."""
    backtest(actor=Watch(producer))
    assert states(producer) == [("disarmed", ("BTCUSDT",), "watch")]


def test_a_backtest_arms_nothing_unless_it_is_asked_to(producer: Producer) -> None:
    """A simulated clock means simulated orders."""
    grid = Grid(producer, in_backtest=False)
    backtest(strategy=grid)
    assert grid.seen == [""] * QUOTES
    assert states(producer) == []


def test_a_strategy_whose_switch_has_ended_stops(producer: Producer) -> None:
    """It would trade without a switch; the switch of its successor stays armed."""
    grid = Grid(producer, in_backtest=True, takeover=True)
    backtest(strategy=grid)
    assert [type(error).__name__ for error in grid.errors] == ["SwitchReplaced"]
    assert len(grid.seen) < QUOTES
    assert states(producer) == [("armed", ("BTCUSDT",), "grid")]


def test_the_example_dies_and_stops(redis_url: str, tmp_path: Path) -> None:
    """Killed, its order is off the exchange by the deadline; stopped, its switch is disarmed."""
    judge(redis_url, tmp_path, "nautilus_node.py", stopped_by=signal.SIGTERM)
