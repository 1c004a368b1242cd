"""What a process remembers of what it has taken."""

from __future__ import annotations

from worker.dispatch.leases import RecentIds


def test_only_the_latest_are_remembered() -> None:
    """A process that runs for months keeps no more names than it needs."""
    taken = RecentIds(3)
    for name in "abcde":
        taken.add([name])
    assert [name in taken for name in "abcde"] == [False, False, True, True, True]
