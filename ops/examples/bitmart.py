"""A rebalancer on BitMart: places a basket of orders and cancels those that did not fill.

It must know which orders filled: a canceled order can be placed again, a `GONE` one may
have filled. Run it with the account's alias:

    WORKER_CONFIG=worker.toml python ops/examples/bitmart.py bm

Write `basket ORDER_ID…` to its standard input for each placed basket. The next basket, or
the end of the input, cancels the previous one.
"""

from __future__ import annotations

import sys

from feed import events

from worker import Outcome, Producer, SwitchTripped
from worker.client.switch import Switch

TIMEOUT_MS = 2_000
PATIENCE_MS = 20_000


def main(account: str) -> int:
    """Rebalance until the feed ends; return 1 if an order may still be open."""
    producer = Producer()
    basket: list[str] = []
    switch: Switch | None = None
    for event in events(TIMEOUT_MS // 4):
        try:
            if switch:
                switch.beat()
        except SwitchTripped:
            print("missed the deadline; the basket is being canceled", flush=True)  # noqa: T201
            return 1
        if event[:1] == ["basket"]:
            # Arm the new basket before the old one is canceled.
            former, switch = (
                switch,
                producer.arm(account, order_ids=event[1:], timeout_ms=TIMEOUT_MS),
            )
            if former and not dropped(producer, account, basket, former):
                return 1
            basket = event[1:]
    return 0 if not switch or dropped(producer, account, basket, switch) else 1


def dropped(producer: Producer, account: str, basket: list[str], switch: Switch) -> bool:
    """Cancel a basket, print the outcomes, and disarm its switch once all are proven."""
    tickets = producer.cancel_many(account, basket)
    results = [ticket.wait(timeout_ms=PATIENCE_MS) for ticket in tickets]
    for order_id, result in zip(basket, results, strict=True):
        gone = "look for fills" if result.outcome is Outcome.GONE else ""
        print(order_id, result.outcome, gone, flush=True)  # noqa: T201
    if not all(result.proven for result in results):
        return False  # the switch stays armed: it trips, and the workers continue
    switch.disarm()
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
