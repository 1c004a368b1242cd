"""Plain messages in unread queues are reported; decompression bombs are harmless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery

from tests.support.polling import eventually
from tests.support.world import World
from worker.cli.check.findings import Level
from worker.cli.check.queues import check_queues
from worker.store.doorbell import queue_key, ring

CANCEL = "worker.cancel"


def findings(world: World) -> dict[Level, list[str]]:
    """Return what `check` says of the lists, by how bad it is."""
    found: dict[Level, list[str]] = {}
    for finding in check_queues(world.settings(), world.store()):
        found.setdefault(finding.level, []).append(finding.detail)
    return found


def send(world: World, **options: Any) -> None:
    """Send a cancel as a stock client does."""
    with Celery("stranger", broker=world.redis_url) as client:
        client.send_task(CANCEL, args=["ev", "a1"], **options)


def test_check_reports_messages_that_no_worker_reads(world: World) -> None:
    """Without a worker it is a warning; with a worker that reads other queues, a failure."""
    assert set(findings(world)) == {Level.OK}
    send(world, priority=3)
    assert set(findings(world)) == {Level.WARN}
    world.worker(options=("-Q", "everstrike"))
    eventually(lambda: findings(world).keys() == {Level.FAIL})
    assert "no worker reads them" in findings(world)[Level.FAIL][0]
    world.worker()
    eventually(lambda: findings(world).keys() == {Level.OK})


def test_check_reports_queues_of_a_clients_own_priority_steps(world: World) -> None:
    """Stock workers do not read them either."""
    with Celery("stranger", broker=world.redis_url) as client:
        client.conf.broker_transport_options = {"priority_steps": list(range(10))}
        client.send_task(CANCEL, args=["ev", "a1"], priority=4)
    (detail,) = findings(world)[Level.FAIL]
    assert repr(queue_key("celery", 4)) in detail


def test_check_reports_messages_sent_to_another_prefix(world: World, tmp_path: Path) -> None:
    """A deployment with its own prefix does not read `celery`."""
    send(world)
    (tmp_path / "staging").mkdir()
    top = {"key_prefix": "staging:"}
    staging = World(world.sim, world.redis_url, tmp_path / "staging", top=top)
    (detail,) = findings(staging)[Level.FAIL]
    assert "which no worker with these settings reads" in detail
    staging.top["plain_queue"] = "celery"
    assert set(findings(staging)) == {Level.WARN}


def test_check_reports_plain_messages_in_lists_without_a_prefix(
    world: World, tmp_path: Path
) -> None:
    """Only an older version's clients send to them."""
    staging = World(world.sim, world.redis_url, tmp_path, top={"key_prefix": "staging:"})
    key, bell = ring(CANCEL, {"account": "ev"}, queue="everstrike")
    world.store().client.lpush(key, bell)
    assert set(findings(staging)) == {Level.OK}, "a doorbell is no plain message"
    world.store().client.delete(key)
    send(world, queue="everstrike")
    assert set(findings(staging)) == {Level.FAIL}
    assert set(findings(world)) == {Level.OK}, "read by the workers of the default prefix"


def test_check_skips_lists_that_its_user_may_not_read(world: World, tmp_path: Path) -> None:
    """The other lists are still checked."""
    admin: Any = world.store().client
    admin.execute_command(
        "ACL", "SETUSER", "narrow", "reset", "on", "nopass", "~s:*", "~celery*", "+@all"
    )
    url = world.redis_url.replace("//", "//narrow:any@")
    staging = World(world.sim, url, tmp_path, top={"key_prefix": "s:"})
    assert set(findings(staging)) == {Level.OK}
    send(world)
    assert set(findings(staging)) == {Level.FAIL}
    admin.execute_command("ACL", "DELUSER", "narrow")


def test_check_ignores_messages_of_other_applications(world: World) -> None:
    """It does not judge what waits in their queues."""
    with Celery("stranger", broker=world.redis_url) as client:
        client.send_task("theirs.add", args=[1], priority=4)
    assert set(findings(world)) == {Level.OK}


def test_a_decompression_bomb_costs_no_memory(world: World) -> None:
    """A message that would unpack to a gigabyte becomes a dead letter; other messages continue."""
    worker = world.worker()
    assert worker.process is not None

    def peak_kb() -> int:
        text = Path(f"/proc/{worker.process.pid}/status").read_text()  # type: ignore[union-attr]
        (line,) = [line for line in text.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1])

    (order_id,) = world.place("ev")
    assert world.producer().cancel("ev", order_id).wait(timeout_ms=10_000).proven
    before_kb = peak_kb()
    with Celery("stranger", broker=world.redis_url) as client:
        for compression in ("zlib", "bzip2", "lzma"):
            client.send_task(CANCEL, args=["ev", " " * 200_000_000], compression=compression)
    eventually(lambda: world.ledger().dead_count() == 3)
    assert all(len(letter.raw) <= 2_000 for letter in world.ledger().dead(limit=9))
    assert peak_kb() - before_kb < 60_000
