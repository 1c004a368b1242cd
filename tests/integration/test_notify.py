"""Notifications: through Redis to real receivers, whatever dies in between."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.receivers import MailServer, Webhook
from tests.support.world import World
from worker.cli import main
from worker.notify import down, outages
from worker.notify.notifier import BURST, Notifier, read_state
from worker.notify.targets import targets_of
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis
from worker.store.notices import LEASE, Notices
from worker.telemetry import alerts
from worker.telemetry.alerts import alert

SECRET = "Sec-ret-0123456789"
DEAD = 1_000
MESSAGES_MAX = 5
SUITE_ROUNDS, KILLS = 3, 2
LATER_MS = 10**15


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver of webhooks."""
    with Webhook() as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is gathered, or must hold, before it is notified."""
    monkeypatch.setattr(outages, "GATHER_MS", 0)
    monkeypatch.setattr(outages, "HOLD_OTHERS_MS", 0)
    monkeypatch.setattr(outages, "HOLD_MS", {"no worker": 3_600_000})
    monkeypatch.setattr(down, "LEADER_MS", 0)
    monkeypatch.setattr(alerts, "_listeners", [])


def notifier(world: World, webhook: Webhook, role: str = "worker", **table: object) -> Notifier:
    """Return a notifier that is driven by `tick`, and has seen what there is."""
    notify = {"urls": [webhook.url(SECRET)], **table}
    made = Notifier(world.settings(notify=notify), role)
    alerts.listen(made.note)
    made.tick()
    return made


def bury(world: World, count: int, begin: int = 0) -> None:
    """Make dead letters."""
    ledger = world.ledger()
    for number in range(begin, begin + count):
        ledger.bury(reason=f"letter-{number}", raw="x")


@pytest.mark.usefixtures("impatient")
def test_a_thousand_dead_letters_are_few_messages(world: World, webhook: Webhook) -> None:
    """All are counted; the last message is the summary."""
    sender = notifier(world, webhook)
    for begin in range(0, DEAD, 200):
        bury(world, 200, begin)
        sender.tick()
    state, _ = Notices(world.store()).read()
    known = read_state(state)[1]
    _, summary = outages.step(known, [], now_ms=LATER_MS, repeat_ms=LATER_MS)
    assert 1 <= len(webhook.received) + len(summary) <= MESSAGES_MAX
    assert summary[-1].title.startswith(f"summary: malformed message, {DEAD} times")
    assert "letter-199" in webhook.text


def test_sender_killed_in_mid_delivery_loses_nothing(
    world: World, webhook: Webhook, rounds: int
) -> None:
    """Each kill repeats one message; the next process sends it again."""
    kills = rounds if rounds > SUITE_ROUNDS else KILLS
    events = ["malformed message"]
    world.tables["notify"] = {"urls": [webhook.url(SECRET)], "events": events}
    store = world.store()
    running: list[WorkerProcess] = []

    def kill(_count: int) -> None:
        if len(webhook.received) <= kills:
            running.pop().kill()

    webhook.on_request = kill
    for number in range(kills + 1):
        store.client.delete(store.key(LEASE))  # as if the killed sender's had run out
        running.append(world.beat())
        if not number:
            eventually(lambda: Notices(store).read()[0], within_ms=60_000, what="a sender looks")
            bury(world, 3)
        wanted = number + 1
        eventually(
            functools.partial(_received, webhook, wanted), within_ms=60_000, what="a delivery"
        )
    (target,) = targets_of(world.settings(**world.tables).notify)
    notices = Notices(store)
    eventually(lambda: not notices.pending(target.id, limit=1), what="the last one is delivered")
    assert len(webhook.received) == kills + 1
    assert len({*webhook.received}) == 1
    assert "letter-2" in webhook.text


def _received(webhook: Webhook, count: int) -> bool:
    return len(webhook.received) >= count


@pytest.mark.usefixtures("impatient")
def test_what_happens_is_notified_once_and_by_route(world: World, webhook: Webhook) -> None:
    """Mail goes to who wants the event; a trip comes with what became of its orders."""
    with MailServer() as mail:
        route = {"urls": [mail.url], "events": ["switch tripped"], "accounts": ["ev"]}
        sender = notifier(world, webhook, routes={"desk": route})
        worker = world.worker()
        world.place("ev", 2, pair="btc_idr")
        producer = world.producer()
        producer.arm("ev", pairs=["btc_idr"], timeout_ms=1_000)
        producer.arm("ix", pairs=["btc_idr"], timeout_ms=1_000)

        def sent() -> bool:
            sender.tick()
            return "ix, indodax" in webhook.text and bool(mail.received)

        eventually(sent, within_ms=60_000, what="trips notified")
        worker.kill()
        alert("timer refused", f"refused with {SECRET}", account="ix", exchange="indodax")
        sender.tick()
        sender.tick()
    ((subject, body),) = mail.received
    assert subject == "ev, everstrike: switch tripped"
    assert "orders: 2 canceled" in body
    assert webhook.text.count("2 canceled") == 1
    assert "ix, indodax: timer refused" in webhook.text
    assert SECRET not in webhook.text


@pytest.mark.usefixtures("impatient")
def test_another_process_sends_once_the_sender_stops(world: World, webhook: Webhook) -> None:
    """A worker takes over from beat; what is not delivered waits for the next sender."""
    beat = notifier(world, webhook, "beat")
    first = notifier(world, webhook)
    other = notifier(world, webhook)
    webhook.status = 500
    bury(world, 1)
    for each in (beat, other, first):
        each.tick()
    assert len(webhook.received) == 1
    first.stop()
    webhook.status = 200
    for each in (other, other):
        each.tick()
    assert len(webhook.received) == 2
    assert len({*webhook.received}) == 1


@pytest.mark.usefixtures("impatient")
def test_a_target_gets_a_burst_and_then_digests(world: World, webhook: Webhook) -> None:
    """Messages beyond the burst wait, and go out as one."""
    sender = notifier(world, webhook)
    for number in range(BURST + 3):
        alert("clock skew", "apart", exchange=f"x{number}")
        sender.tick()
    assert len(webhook.received) == BURST
    sender.lines.clear()  # as if the burst were long ago
    sender.tick()
    assert len(webhook.received) == BURST + 1
    assert webhook.received[-1][0].startswith("3 notices: x5: clock skew")


@pytest.mark.usefixtures("impatient")
def test_an_outage_of_redis_is_notified_by_one_process_of_a_host(
    own_redis: EmbeddedRedis, sim: Simulator, tmp_path: Path, webhook: Webhook
) -> None:
    """And its end, by the same one."""
    world = World(sim, own_redis.url, tmp_path)
    sender, other = notifier(world, webhook), notifier(world, webhook)
    own_redis.stop()
    for each in (sender, other, sender):
        each.tick()
    own_redis.start()
    for each in (other, sender):
        each.tick()
    titles = [title for title, _ in webhook.received]
    assert titles == ["redis down", "recovered: redis down"]


@pytest.mark.usefixtures("impatient")
def test_addresses_are_in_no_redis_and_no_log(
    world: World, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where a delivery fails."""
    webhook.status = 500
    sender = notifier(world, webhook)
    bury(world, 1)
    sender.tick()
    client: Any = world.store().client
    held = [str(client.type(key)) for key in client.keys("*notify*")]
    assert sorted(held) == ["list", "string", "string"]
    dump = str([client.lrange(key, 0, -1) for key in client.keys("*notify:to:*")])
    dump += str(client.mget([key for key in client.keys("*notify*") if ":to:" not in key]))
    assert "letter-0" in dump
    assert "failed" in caplog.text
    for text in (dump, caplog.text):
        assert SECRET not in text


def test_the_command_tries_each_address(
    world: World, webhook: Webhook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses of a file; exit code 1 if one does not answer, 2 without any."""
    urls = tmp_path / "urls"
    urls.write_text(f"# desk\n{webhook.url(SECRET)}\n")
    urls.chmod(0o600)
    config = str(world.config(notify={"urls_file": str(urls)}))
    assert main(["--config", config, "notify", "test"]) == 0
    assert re.fullmatch(r"json-[0-9a-f]{8} \(notify\): delivered\n", capsys.readouterr().out)
    assert webhook.received[0][0] == "test of notifications"
    webhook.status = 500
    assert main(["--config", config, "notify", "test"]) == 1
    assert SECRET not in capsys.readouterr().out
    urls.write_text(f"nosuchservice://{SECRET}\n")
    assert main(["--config", config, "notify", "test"]) == 2
    shown = capsys.readouterr().err
    assert "none that apprise knows" in shown
    assert SECRET not in shown
    assert main(["--config", str(world.config()), "notify", "test"]) == 2
