"""Outages: many notices, few messages."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from worker.model.notices import EVENTS, Notice
from worker.notify.outages import CLEAR_MS, GATHER_MS, QUIET_MS, Message, Outage, duration, step
from worker.telemetry.metrics import ALERTS

HOUR_MS = 3_600_000
START_MS = 1_000_000
DEAD = Notice("dead letter", "order 7: UNKNOWN", "bn", "binance")
NO_WORKER = Notice("no worker", "No worker is running.", holds=True)


class Desk:
    """Steps through time, second by second."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.known: dict[str, Outage] = {}
        self.sent: list[Message] = []

    def run(self, seconds: int, notices: Iterable[Notice] = ()) -> list[Message]:
        """Observe the same notices each second; return the messages."""
        same, before = [*notices], len(self.sent)
        for _ in range(seconds):
            self.known, messages = step(self.known, same, now_ms=self.now_ms, repeat_ms=HOUR_MS)
            self.sent += messages
            self.now_ms += 1_000
        return self.sent[before:]


def test_every_alert_is_an_event() -> None:
    """A kind of alert that no route can name would never be notified."""
    assert set(ALERTS) <= set(EVENTS)


def test_one_event_is_one_message() -> None:
    """With its place, its text and what to do; nothing follows once it is quiet."""
    desk = Desk()
    desk.run(1, [DEAD])
    (message,) = desk.run(QUIET_MS // 500)
    assert message.title == "bn, binance: dead letter"
    assert message.body.splitlines() == [
        "order 7: UNKNOWN",
        "These orders may be open. See: cancel-worker dead list",
    ]
    assert not desk.known


def test_events_that_come_together_are_one_message() -> None:
    """They are counted; the latest are shown."""
    desk = Desk()
    letters = [Notice("dead letter", f"order {number}", "bn", "binance") for number in range(9)]
    desk.run(1, letters)
    (message,) = desk.run(GATHER_MS // 1_000)
    assert message.title == "bn, binance: dead letter, 9 times"
    assert message.body.startswith("4 earlier ones, and:\norder 4\n")


@pytest.mark.parametrize("seconds", [10, 100, 250, 1_000])
def test_a_long_outage_is_few_messages_that_count_all(seconds: int) -> None:
    """A thousand events in ten seconds or twenty minutes: at most five messages."""
    desk = Desk()
    for _ in range(seconds):
        desk.run(1, [DEAD] * (1_000 // seconds))
    desk.run(2 * QUIET_MS // 1_000)
    assert 1 <= len(desk.sent) <= 5
    assert "dead letter, 1000 times" in desk.sent[-1].title


def test_accounts_and_events_are_apart() -> None:
    """Each has an outage of its own."""
    desk = Desk()
    desk.run(1, [DEAD, Notice("dead letter", "x", "ev", "everstrike"), NO_WORKER])
    assert len(desk.run(3)) == 2


def test_a_condition_must_hold_before_it_is_notified() -> None:
    """A short one, such as a restart, is not worth a message."""
    desk = Desk()
    assert not desk.run(14, [NO_WORKER])
    assert not desk.run(60)
    assert not desk.known


def test_a_condition_is_notified_repeated_and_over() -> None:
    """Once, then every hour; a gap shorter than `CLEAR_MS` does not end it."""
    desk = Desk()
    (first,) = desk.run(60, [NO_WORKER])
    assert not desk.run(CLEAR_MS // 1_000 - 2)
    (again,) = desk.run(3_600, [NO_WORKER])
    (over,) = desk.run(60)
    assert first.title == "no worker"
    assert again.title.startswith("still no worker, for ")
    assert over.title == "recovered: no worker"
    assert over.body == "It lasted 61 min."
    assert [each.over for each in desk.sent] == [False, False, True]


def test_a_result_is_sent_at_once_and_not_counted() -> None:
    """What became of a trip's orders does not wait for the next message."""
    desk = Desk()
    desk.run(3, [])
    desk.run(1, [Notice("switch tripped", "canceling", "ix", "indodax")])
    desk.run(5)
    (result,) = desk.run(1, [Notice("switch tripped", "2 canceled", "ix", "indodax", follows=True)])
    assert result.title == "ix, indodax: switch tripped: result"
    assert result.body.startswith("2 canceled\n")
    assert not desk.run(2 * QUIET_MS // 1_000)


@pytest.mark.parametrize(
    ("given_ms", "shown"),
    [(999, "0 s"), (119_000, "119 s"), (120_000, "2 min"), (7_200_000, "2 h")],
)
def test_durations_are_in_the_largest_unit_that_fits(given_ms: int, shown: str) -> None:
    """At least two of it."""
    assert duration(given_ms) == shown
