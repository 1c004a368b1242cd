"""What a cancel costs a worker at exchanges of ccxt, beside hand-written adapters.

Run: `uv run python -m tests.benchmarks.ccxt_cost`

An attempt is measured whole, from claim to record, as the processor time of a real worker
for each cancel; signing and reading also alone, in this process.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable

from tests.benchmarks.process_group import TICK_S, stat_fields
from tests.support.ccxt_documents import ASKED, CANCELS
from tests.support.polling import eventually
from tests.support.world import ALL_KEYS, PAIRS, World, open_world
from worker import Outcome
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Access, Stamp
from worker.model.commands import CancelOrder
from worker.model.wire import Reply

COUNT, WARM, ROUNDS = 500, 50, 3
CALLS = 2_000
ROOMY = {"max_requests": 10_000, "window_ms": 1_000}
WITHOUT_NONCES = ("bn", "ga")
BY_HAND = (*WITHOUT_NONCES, "kr")
OF_CCXT: dict[str, tuple[str, ...]] = {"wb": ("kr",), "cp": ("bn", "ga")}
"""With the hand-written adapters that each is compared with. Each proves a cancel by its reply,
so that one attempt is one request. WhiteBIT has a profile, and nonces as Kraken has, so that its
requests go one at a time; Coins.ph has no profile, so that its replies are read three times."""
MOST = 2.0
"""How much more an attempt may cost."""
IDS = {"kr": "O62TJP-OC4JA-BO6CUG"}
REPLIES: dict[str, object] = {
    "bn": {"symbol": "BTCUSDT", "orderId": int(ASKED), "status": "CANCELED"},
    "ga": {"id": ASKED, "currency_pair": "BTC_USDT", "side": "buy", "status": "cancelled"},
    "kr": {"error": [], "result": {"count": 1}},
    "wb": CANCELS["whitebit"],
    "cp": {"symbol": "BTCPHP", "orderId": ASKED, "status": "CANCELED", "side": "BUY"},
}


def main() -> int:
    """Measure and print; fail if an attempt costs too much."""
    costs = {alias: attempt_ms(alias) for alias in (*BY_HAND, *OF_CCXT)}
    hand_ms = {
        alias: statistics.mean(costs[each] for each in like) for alias, like in OF_CCXT.items()
    }
    for alias, cost_ms in costs.items():
        sign_us, read_us = alone_us(alias)
        ratio = f", {cost_ms / hand_ms[alias]:.2f} of its like by hand" if alias in hand_ms else ""
        sys.stdout.write(
            f"{ALL_KEYS[alias][0]:16} an attempt {cost_ms:.2f} ms{ratio}; "
            f"of that signing {sign_us:.0f} µs, reading {read_us:.0f} µs\n"
        )
    # Judged beside adapters without nonces, whichever is its like.
    plain_ms = statistics.mean(costs[alias] for alias in WITHOUT_NONCES)
    holds = all(costs[alias] <= MOST * plain_ms for alias in OF_CCXT)
    sys.stdout.write(f"at most {MOST:g} times: {'holds' if holds else 'FAILS'}\n")
    return 0 if holds else 1


def attempt_ms(alias: str) -> float:
    """Return the least processor time of a worker for a cancel, in ms, of some rounds."""
    with open_world() as world:
        world.aliases = (alias,)
        names = [limit.name for limit in EXCHANGES[ALL_KEYS[alias][0]].capabilities.limits]
        world.limits = {alias: dict.fromkeys(names, ROOMY)}
        worker = world.worker()
        assert worker.process is not None
        pid = worker.process.pid
        cancel_all(world, alias, WARM)
        costs_ms = []
        for _ in range(ROUNDS):
            before_s = cpu_s(pid)
            cancel_all(world, alias, COUNT)
            costs_ms.append((cpu_s(pid) - before_s) * 1_000 / COUNT)
    return min(costs_ms)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, in s."""
    return sum(map(int, stat_fields(pid)[11:13])) * TICK_S


def cancel_all(world: World, alias: str, count: int) -> None:
    """Cancel orders, and wait until each is proven."""
    producer = world.producer()
    tickets = producer.cancel_many(alias, world.place(alias, count), pair=PAIRS[alias])
    eventually(
        lambda: all(ticket.result().outcome is Outcome.CANCELED for ticket in tickets),
        within_ms=300_000,
        pause_ms=500,
        what="every order is canceled",
    )


def alone_us(alias: str) -> tuple[float, float]:
    """Return the processor time of signing a cancel and of reading its reply, in µs."""
    name, key, secret, memo = ALL_KEYS[alias]
    exchange, command = EXCHANGES[name], CancelOrder(IDS.get(alias, ASKED), PAIRS[alias])
    access = Access("http://127.0.0.1:9", key, secret, memo)
    stamp = Stamp(1_700_000_000_000, nonce=1_700_000_000_007)
    reply = Reply(200, {}, json.dumps(REPLIES[alias]).encode(), 1_700_000_000_000)
    sign: Callable[[], object] = lambda: exchange.sign(command, access, stamp)  # noqa: E731
    read: Callable[[], object] = lambda: exchange.classify(command, reply)  # noqa: E731
    return each_us(sign), each_us(read)


def each_us(call: Callable[[], object]) -> float:
    """Return the least processor time of a call, in µs."""

    def took_us(_: int) -> float:
        began_s = time.process_time()
        for _ in range(CALLS):
            call()
        return (time.process_time() - began_s) / CALLS * 1e6

    rounds: Iterable[float] = map(took_us, range(ROUNDS + 1))
    return min(rounds)


if __name__ == "__main__":
    sys.exit(main())
