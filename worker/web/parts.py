"""What the routes share: the parts of one web process."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial

from fastapi import Request

from worker.client.async_switch import AsyncSwitch
from worker.client.async_ticket import AsyncTicket
from worker.client.verbs import Kinds, Verbs
from worker.client.watcher import Watcher
from worker.config.settings import Settings
from worker.store.api_tokens import Admitted, Rate
from worker.store.async_store import AsyncStore
from worker.store.audit import Audit
from worker.store.job_steps import reading_time
from worker.store.listing import Listing
from worker.store.opening import build_store
from worker.store.switches import Switches
from worker.store.trips import Trips
from worker.telemetry.health.reading import Watch
from worker.web.beating import Beating
from worker.web.held import Held

FRESH_MS = 200
"""Maximum age of the state that `/v1/status` and events share."""
WRONG = Rate(per_s=0.2, burst=10)
"""Wrong secrets that an address may send before it is refused."""


Tokens = OrderedDict[str, Admitted]


@dataclass
class Parts:
    """The parts of one process.

    What calls ask and change goes through `redis`, on the event loop: `verbs` are procedures
    for it. What only lists much is read in threads, through the other parts.

    Attributes:
        rate: How often each token may call.
        tokens: The tokens that called last, by digest, as Redis had them then.
        wrong: How many wrong secrets an address may send, to all processes together.
        held: The calls that are kept open.
        behind_proxy: Whether the client's address is what a proxy reports.
    """

    settings: Settings
    redis: AsyncStore
    verbs: Verbs[AsyncTicket, AsyncSwitch]
    watcher: Watcher
    beating: Beating
    listing: Listing
    switches: Switches
    trips: Trips
    audit: Audit
    watch: Watch
    behind_proxy: bool
    rate: Rate
    tokens: Tokens = field(default_factory=OrderedDict)
    wrong: Rate = WRONG
    held: Held = field(default_factory=Held)

    async def now_ms(self) -> int:
        """Return shared time, Unix ms.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return await self.redis.carry(reading_time())

    async def close(self) -> None:
        """Close the connections of the event loop."""
        await self.watcher.close()
        await self.redis.close()


def _verbs(
    settings: Settings, redis: AsyncStore, watcher: Watcher
) -> Verbs[AsyncTicket, AsyncSwitch]:
    def ticket(
        job_id: str,
        account: str,
        order_id: str | None,
        fresh: bool,  # noqa: FBT001  as `Kinds` asks
        client: str | None,
    ) -> AsyncTicket:
        return AsyncTicket(job_id, account, order_id, fresh, watcher, client)

    return Verbs(settings, Kinds(ticket, partial(AsyncSwitch, redis)))


def build_parts(settings: Settings, *, behind_proxy: bool = False) -> Parts:
    """Return the parts of a process; nothing is connected yet."""
    store, redis = build_store(settings), AsyncStore(settings)
    watcher, per_s = Watcher(redis), settings.web.requests_per_s
    return Parts(
        settings=settings,
        redis=redis,
        verbs=_verbs(settings, redis, watcher),
        watcher=watcher,
        rate=Rate(per_s, 2 * per_s),
        beating=Beating(redis),
        listing=Listing(store),
        switches=Switches(store),
        trips=Trips(store),
        audit=Audit(store),
        watch=Watch(store, fresh_ms=FRESH_MS),
        behind_proxy=behind_proxy,
    )


def parts_of(request: Request) -> Parts:
    """Return the parts of the process that serves a request."""
    parts: Parts = request.app.state.parts
    return parts
