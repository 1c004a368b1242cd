"""What the routes share: the parts of one web process."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from worker.client.producer import Producer
from worker.config.settings import Settings
from worker.store.api_tokens import ApiTokens
from worker.store.audit import Audit
from worker.store.beat_addresses import BeatAddresses
from worker.store.idempotency import Idempotency
from worker.store.ledger import Ledger
from worker.store.opening import build_store
from worker.store.sessions import Sessions
from worker.store.switches import Switches
from worker.store.trips import Trips
from worker.telemetry.health.reading import Watch
from worker.web.beating import Beating
from worker.web.throttle import Throttle
from worker.web.waiting import Waiting

FRESH_MS = 200
"""Maximum age of the state that `/v1/status` and events share."""
WRONG_PER_S, WRONG_BURST = 0.2, 10
"""Wrong secrets that an address may send before it is refused unread."""
HOOK_PER_S, HOOK_BURST = 1, 10
"""Calls of one webhook: each is a cancel-all."""


@dataclass
class Parts:
    """The parts of one process.

    Attributes:
        calls: Limits the calls of each token.
        wrong: Limits the wrong secrets from each address.
        hooks: Limits the calls of each webhook.
        behind_proxy: Whether the client's address is what a proxy reports.
    """

    settings: Settings
    producer: Producer
    ledger: Ledger
    switches: Switches
    tokens: ApiTokens
    addresses: BeatAddresses
    sessions: Sessions
    trips: Trips
    audit: Audit
    idempotency: Idempotency
    watch: Watch
    waiting: Waiting
    beating: Beating
    calls: Throttle
    behind_proxy: bool
    wrong: Throttle = field(default_factory=lambda: Throttle(per_s=WRONG_PER_S, burst=WRONG_BURST))
    hooks: Throttle = field(default_factory=lambda: Throttle(per_s=HOOK_PER_S, burst=HOOK_BURST))


def build_parts(settings: Settings, *, behind_proxy: bool = False) -> Parts:
    """Return the parts of a process; nothing is connected yet."""
    store, promising = build_store(settings), build_store(settings, promising=True)
    ledger = Ledger(store)
    per_s = settings.web.requests_per_s
    return Parts(
        settings=settings,
        producer=Producer(settings),
        ledger=ledger,
        switches=Switches(store),
        tokens=ApiTokens(store),
        addresses=BeatAddresses(store),
        sessions=Sessions(store),
        trips=Trips(store),
        audit=Audit(store),
        idempotency=Idempotency(store),
        watch=Watch(store, fresh_ms=FRESH_MS),
        waiting=Waiting(ledger),
        beating=Beating(Switches(promising)),
        calls=Throttle(per_s=per_s, burst=2 * per_s),
        behind_proxy=behind_proxy,
    )


def parts_of(request: Request) -> Parts:
    """Return the parts of the process that serves a request."""
    parts: Parts = request.app.state.parts
    return parts
