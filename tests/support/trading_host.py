"""A host with a worker and a strategy: `python -m tests.support.trading_host REDIS EXCHANGE`.

Prints the deadline of its switch, in Unix ms, after each heartbeat.
"""

from __future__ import annotations

import sys

from pydantic import SecretStr

from tests.support.world import KEYS
from worker import Producer, clock
from worker.config.settings import Settings
from worker.factory import build_dispatcher

TIMEOUT_MS = 4_000
BEAT_MS = 50


def main(redis_url: str, base_url: str) -> None:
    """Arm a switch whose timer the exchange holds, and beat until killed."""
    exchange, key, secret, _ = KEYS["ix"]
    account = {"exchange": exchange, "api_key": key, "api_secret": secret, "auth": "nonce"}
    settings = Settings(redis_url=SecretStr(redis_url), accounts={"ix": account})
    # Plain HTTP to another host is refused by the settings.
    plain = settings.accounts["ix"].model_copy(update={"base_url": base_url})
    settings = settings.model_copy(update={"accounts": {"ix": plain}})
    producer, engine = Producer(settings), build_dispatcher(settings)
    engine.start()
    switch = producer.arm("ix", pairs=["btc_idr"], timeout_ms=TIMEOUT_MS)
    while True:
        switch.beat()
        (record,) = producer.switches()
        print(record.deadline_ms, flush=True)  # noqa: T201
        clock.sleep_ms(BEAT_MS)


if __name__ == "__main__":
    main(*sys.argv[1:])
