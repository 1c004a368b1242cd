"""Heartbeats from a task of the event loop: they follow the strategy's progress."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from worker import (
    AsyncHeartbeat,
    AsyncProducer,
    AsyncSwitch,
    StoreUnavailable,
    SwitchReplaced,
    SwitchTripped,
)
from worker.config.settings import Settings
from worker.errors import CancelWorkerError
from worker.store.embedded import EmbeddedRedis

T_MS = 4_000
LONG_MS = 600_000
BOUND_S = 60


def settings_for(redis_url: str) -> Settings:
    """Return what a strategy's process has."""
    account = {"exchange": "everstrike", "api_key": "key-01", "api_secret": "secret-01"}
    return Settings(redis_url=redis_url, accounts={"ev": account})


async def beat_ms(switch: AsyncSwitch) -> int:
    """Return when the last heartbeat counts from."""
    record = await switch.record()
    assert record is not None
    return record.beat_ms


async def stuck(producer: AsyncProducer) -> None:
    """Make progress for two heartbeats, then none."""
    errors: list[CancelWorkerError] = []
    switch = await producer.arm("ev", order_ids=["a1"], timeout_ms=T_MS)
    armed_ms = await beat_ms(switch)
    async with AsyncHeartbeat(switch, on_error=errors.append) as heart:
        while await beat_ms(switch) <= armed_ms + T_MS // 2:
            heart.progress()
            await asyncio.sleep(0.01)
        assert errors == []
        with pytest.raises(SwitchTripped):
            await heart
        with pytest.raises(SwitchTripped):
            heart.progress()
    assert [type(error) for error in errors] == [SwitchTripped]


async def replaced(producer: AsyncProducer) -> None:
    """Lose the switch to another holder: rare progress is sent at once, and raises."""
    switch = await producer.arm("ev", order_ids=["a2"], timeout_ms=LONG_MS)
    heart = AsyncHeartbeat(await producer.switch(switch.id, epoch=switch.epoch))
    await heart
    await heart.start()
    await heart.start()
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert names.count(f"heartbeat {switch.id}") == 1
    while heart._pulse.prompt_ms > 1e15:  # noqa: ASYNC110, SLF001  the first heartbeat
        await asyncio.sleep(0.01)
    await producer.arm("ev", order_ids=["a2"], timeout_ms=LONG_MS)
    heart._pulse.prompt_ms = 0  # noqa: SLF001  half a timeout is long
    heart.progress()
    with pytest.raises(SwitchReplaced):
        await heart.ended()
    await heart.stop()
    await heart.stop()


async def left(producer: AsyncProducer) -> None:
    """Leave the block: nothing is raised, the switch stays armed, and no task is left."""
    switch = await producer.arm("ev", order_ids=["a3"], timeout_ms=LONG_MS)
    async with AsyncHeartbeat(switch) as heart:
        ended = asyncio.ensure_future(heart.ended())
        await asyncio.sleep(0)
    await ended
    record = await switch.record()
    assert record is not None
    assert record.state == "armed"
    assert not any(switch.id in task.get_name() for task in asyncio.all_tasks())
    await switch.disarm()


async def stop_cancelled(producer: AsyncProducer) -> None:
    """Cancel the task that stops the heartbeats: a wait for their end returns all the same."""
    switch = await producer.arm("ev", order_ids=["a4"], timeout_ms=LONG_MS)
    heart = AsyncHeartbeat(switch)
    await heart.start()
    ended = asyncio.ensure_future(heart.ended())
    stopping = asyncio.ensure_future(heart.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await ended
    await switch.disarm()


def test_a_task_beats_until_the_loop_is_stuck_the_switch_taken_or_the_block_left(
    redis_url: str,
) -> None:
    """The error reaches the strategy by await, by its next progress and by the callback."""

    async def main() -> None:
        async with (
            AsyncProducer(settings_for(redis_url)) as producer,
            asyncio.timeout(BOUND_S),
            asyncio.TaskGroup() as group,
        ):
            for scenario in (stuck, replaced, left, stop_cancelled):
                group.create_task(scenario(producer))

    asyncio.run(main())


def test_an_outage_of_redis_is_raised_once_the_deadline_has_passed(tmp_path: Path) -> None:
    """Before that it is ridden out."""

    async def main() -> None:
        async with AsyncProducer(settings_for(server.url)) as producer, asyncio.timeout(BOUND_S):
            switch = await producer.arm("ev", order_ids=["a1"], timeout_ms=T_MS)
            async with AsyncHeartbeat(switch) as heart:
                heart.progress()
                server.stop()
                with pytest.raises(StoreUnavailable):
                    await heart
                with pytest.raises(StoreUnavailable):
                    heart.progress()

    with EmbeddedRedis(tmp_path / "redis") as server:
        asyncio.run(main())
