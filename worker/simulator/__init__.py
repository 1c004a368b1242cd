"""The exchanges as one real HTTP server, written from their documents.

For tests and the demo. It shares no code with the adapters: it signs, reads
and refuses on its own, so that a mistake of theirs is not repeated here. Only
the standard library is used.

In a program::

    with Simulator(seed=1) as sim:
        sim.add_key("indodax", "key", "secret")
        (order_id,) = sim.place("indodax", "key", pair="btc_idr", side="buy")
        ...  # send requests to sim.url("indodax")
        assert sim.order("indodax", order_id).status == "canceled"

In another process, `python -m worker.simulator --port 8400 --seed 1`, moved
with `SimulatorClient("http://127.0.0.1:8400")`, which has the same methods.

Base URLs below the server's own are in the first table at the end.

Control over HTTP: `POST /_sim/<operation>` with a JSON object of parameters;
answers `{"result": …}`, or 400 or 404 with `{"error": text, "kind": …}`.

==================  =====================================  ===================
operation           parameters (`?` may be left out)       result
==================  =====================================  ===================
`add_key`           exchange, api_key, api_secret, memo?   null
`place`             exchange, api_key, pair?, side?,       list of order ids
                    count?, order_ids?, client_ids?, stop?
`fill`              exchange, order_id                     whether it was open
`fill_race`         exchange, probability                  null
`orders`            exchange, api_key?                     list of `Order`
`order`             exchange, order_id                     `Order`
`set_faults`        faults, exchange?, paths?              null
`fault_next`        name, exchange?, times?, paths?        null
`set_option`        name, value                            null
`set_clock_skew`    ms                                     null
`step_clock`        ms                                     null
`now_ms`                                                   Unix ms
`expire_tokens`                                            null
`set_nonce`         api_key, n                             null
`journal`           after?                                 list of `Arrival`
`timers`                                                   list of `Timer`
`url`               exchange                               base URL
`reset`                                                    null
==================  =====================================  ===================

Faults, `set_faults({name: probability})` or `fault_next(name)`:

=========================  ==========  =======================================
name                       applied     what the client sees
=========================  ==========  =======================================
`accept_then_drop`         yes         the connection closed, no reply
`drop_before`              no          the same
`delay`                    yes         the reply after `delay_ms`
`drip`                     yes         the reply a byte each `drip_ms`
`half_body`                yes         half of the body, then closed
`html_5xx`                 at random   a proxy's page, 502, 503 or 504
`garbage`                  yes         200 with bytes that are no JSON
`throttle`                 no          429 without a hint when to come back
`throttle_retry_after`     no          429 with one: `Retry-After: 1`, or
                                       Everstrike's "try again in 0.043 seconds?"
`reject_nonce`             no          the last nonce jumps above the given one
=========================  ==========  =======================================

Those of one exchange alone are in the second table at the end.

What no document says, and is chosen here:

- Refused requests count against a rate limit as arrivals, faulted ones too.
- Everstrike's bulk cancel leaves out, in silence, orders that are not open; a
  body in which no id is found is an empty list, which cancels everything.
- Codes and texts of Indodax's refusal of timestamps and of unknown orders;
  the order of its checks; that a nonce is used up by a request that is then
  refused for its parameters.
- Kraken: that a refused request uses up its nonce; the counter of a pair is
  kept only if `kraken_pair_counter` is set.
- Hyperliquid: the text for what has expired and for a nonce that is refused; that an
  eleventh firing of a timer in a day cancels nothing. `add_key` takes the account's
  address, and the private key of its API wallet as the secret.
- OKX: the order of its checks; how long a cancel and a timer take; that its timer leaves
  algo orders, and how long these can be asked about.
- Gate: the order of its checks, the status of each label, and that a timer fires at once;
  a timer of all pairs is refused.
- KuCoin: the order of its checks; how long a cancel of a scope takes; what is said of a
  stop order that was canceled.
- Deribit: the codes of a refused time and nonce, the statuses of errors, that a refused
  request uses up credits, and no end of the connection with them.
- Bybit: the order of its checks; how long a cancel takes; all orders are of one category.
- BitMart's status for a bad signature (403) and timestamp (400).
- See `Options` for what is chosen by the seed.
"""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.client import SimulatorClient
from worker.simulator.countdowns import Timer
from worker.simulator.faults import FAULTS
from worker.simulator.journal import Arrival
from worker.simulator.options import Options
from worker.simulator.serving import serve
from worker.simulator.simulator import Simulator
from worker.simulator.venues import EXCHANGES, TRADED, tables

__all__ = [
    "EXCHANGES",
    "FAULTS",
    "TRADED",
    "Arrival",
    "Options",
    "Order",
    "Simulator",
    "SimulatorClient",
    "Timer",
    "serve",
]

__doc__ = f"{__doc__}\n{tables()}"
