"""A grid on Indodax: many resting orders on some pairs, all under one switch.

Indodax holds the timer itself: even with every worker dead the orders go. The
timer is kept by pair, and 10 requests in 10 s are all that one address has, so
give it minutes rather than seconds. Run it with the alias and the pairs,

    WORKER_CONFIG=worker.toml python ops/examples/indodax.py ix btc_idr eth_idr

and give it `stop PAIR` for a pair whose orders must go now.
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
    # Restarted after a trip, it waits until the former grid's orders have been listed.
    with producer.countdown(
        account, pairs=pairs, timeout_ms=TIMEOUT_MS, clear_wait_ms=CLEAR_WAIT_MS
    ) as switch:
        print("armed", switch.id, flush=True)  # noqa: T201
        for event in events(TIMEOUT_MS // 4):
            try:
                switch.beat()
            except SwitchTripped:
                print("held up for too long; the grid is taken off", flush=True)  # noqa: T201
                return 1
            if event[:1] == ["stop"] and not cleared(producer, account, event[1]):
                raise SystemExit(1)  # an exception leaves the switch armed
        # While the switch still stands, lest orders rest alone.
        proven = [cleared(producer, account, pair) for pair in pairs]
        if not all(proven):
            raise SystemExit(1)
    return 0


def cleared(producer: Producer, account: str, pair: str) -> bool:
    """Return whether the exchange lists no open order of the pair any more."""
    result = producer.cancel_all(account, pair=pair).wait(timeout_ms=PATIENCE_MS)
    print(pair, result.outcome, flush=True)  # noqa: T201
    return result.proven


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
