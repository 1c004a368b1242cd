"""A grid on Indodax: many open orders on some pairs, covered by one switch.

Indodax has a native timer: it cancels the orders even if every worker is dead. It has one
timer for each pair and a limit of 10 requests in 10 s for each address, so use timeouts
of minutes. Run it with the alias and the pairs:

    WORKER_CONFIG=worker.toml python ops/examples/indodax.py ix btc_idr eth_idr

Write `stop PAIR` to its standard input to cancel the orders of a pair now.
"""

from __future__ import annotations

import os
import sys

from feed import events

from worker import Producer, SwitchTripped

TIMEOUT_MS = int(os.environ.get("GRID_TIMEOUT_MS", "120000"))
PATIENCE_MS = 20_000
CLEAR_WAIT_MS = 60_000


def main(account: str, *pairs: str) -> int:
    """Keep the grid until the feed ends; return 1 if an order may still be open."""
    producer = Producer()
    # After a trip, wait until the exchange has listed the former grid's orders.
    with producer.countdown(
        account, pairs=pairs, timeout_ms=TIMEOUT_MS, clear_wait_ms=CLEAR_WAIT_MS
    ) as switch:
        print("armed", switch.id, flush=True)  # noqa: T201
        for event in events(TIMEOUT_MS // 4):
            try:
                switch.beat()
            except SwitchTripped:
                print("missed the deadline; the grid is being canceled", flush=True)  # noqa: T201
                return 1
            if event[:1] == ["stop"] and not cleared(producer, account, event[1]):
                raise SystemExit(1)  # an exception leaves the switch armed
        # Cancel before the switch is disarmed, so that orders are never unprotected.
        proven = [cleared(producer, account, pair) for pair in pairs]
        if not all(proven):
            raise SystemExit(1)
    return 0


def cleared(producer: Producer, account: str, pair: str) -> bool:
    """Return whether the exchange no longer lists an open order of the pair."""
    result = producer.cancel_all(account, pair=pair).wait(timeout_ms=PATIENCE_MS)
    print(pair, result.outcome, flush=True)  # noqa: T201
    return result.proven


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
