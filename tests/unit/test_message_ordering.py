"""What was read first is done first, and nothing waits for ever."""

from __future__ import annotations

import threading

import pytest

from worker.messaging import ordering
from worker.messaging.ordering import Turns


def test_threads_keep_the_order_of_reading() -> None:
    """However late the thread of the first comes."""
    order, done = Turns(), list[str]()
    names = [f"m{n}" for n in range(20)]
    for name in names:
        order.enter(name)

    def work(name: str) -> None:
        with order.turn(name):
            done.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in names[::-1]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == names


def test_message_that_leaves_without_its_turn_keeps_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Expired, refused, or taken twice; and one that never ends, for a while only."""
    order = Turns()
    for name in ("gone", "stuck", "last"):
        order.enter(name)
    order.leave("gone")
    order.leave("gone")
    order.leave("unknown")
    with order.turn("stuck"):
        pass
    order.enter("stuck, too")
    with order.turn("last"):
        pass
    order.enter("after")
    monkeypatch.setattr(ordering, "WAIT_MAX_MS", 1)
    with order.turn("after"):
        pass
    monkeypatch.setattr(ordering, "WAIT_MAX_MS", 60_000)
    order.enter("not behind what was given up")
    with order.turn("not behind what was given up"):
        pass
    order.enter("stuck again")
    order.enter("timed")
    with order.turn("timed", ordered=False):
        pass
    with order.turn("never entered"):
        pass


def test_an_error_ends_the_turn() -> None:
    """Those behind continue."""
    order = Turns()
    order.enter("fails")
    order.enter("next")
    with pytest.raises(ValueError, match="x"), order.turn("fails"):
        raise ValueError("x")
    with order.turn("next"):
        pass
