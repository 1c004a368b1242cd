"""A quoter on Everstrike: one order at a time, replaced when the price moves.

Everstrike has no native timer, so workers enforce the deadline, for exactly the orders
that the switch tracks. Run it with the account's alias:

    WORKER_CONFIG=worker.toml python ops/examples/everstrike.py ev

Write `placed ORDER_ID` to its standard input for each quote that your client has placed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from feed import events

from worker import Producer, SwitchTripped

TIMEOUT_MS = 2_000
PATIENCE_MS = 10_000


def main(account: str) -> int:
    """Quote until the feed ends; return 1 if an order may still be open."""
    producer = Producer()
    feed = events(TIMEOUT_MS // 4)
    quote = next((event[1] for event in feed if event[:1] == ["placed"]), "")
    if not quote:
        return 0
    with producer.countdown(account, order_ids=[quote], timeout_ms=TIMEOUT_MS) as switch:
        for new in placed(feed):
            try:
                switch.beat()
                if new:
                    # Track it first: from here on a crash cancels it too.
                    switch.track(new)
            except SwitchTripped:
                print("missed the deadline; the quotes are being canceled", flush=True)  # noqa: T201
                return 1
            if new:
                if not canceled(producer, account, quote):
                    raise SystemExit(1)  # an exception leaves the switch armed
                switch.untrack(quote)
                quote = new
        # Cancel before the switch is disarmed, so that the order is never unprotected.
        if not canceled(producer, account, quote):
            raise SystemExit(1)
    return 0


def placed(feed: Iterator[list[str]]) -> Iterator[str]:
    """Yield each new quote, and an empty string at each pause."""
    for event in feed:
        yield event[1] if event[:1] == ["placed"] else ""


def canceled(producer: Producer, account: str, order_id: str) -> bool:
    """Return whether the exchange has proven that the order is not open."""
    result = producer.cancel(account, order_id).wait(timeout_ms=PATIENCE_MS)
    print(order_id, result.outcome, flush=True)  # noqa: T201
    return result.proven


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
