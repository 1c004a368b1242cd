"""The ids of recently claimed jobs."""

from __future__ import annotations

from worker.dispatch.leases import RecentIds


def test_only_the_latest_ids_are_kept() -> None:
    """A process that runs for months keeps a bounded number of them."""
    recent = RecentIds(3)
    for id_ in "abcde":
        recent.add([id_])
    assert [id_ in recent for id_ in "abcde"] == [False, False, True, True, True]
