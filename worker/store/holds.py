"""The hold of an account whose requests must go one at a time, for what is no job."""

from __future__ import annotations

from worker.store.connection import Store


class Holds:
    """Takes and gives up holds in one Redis.

    Every method raises `StoreUnavailable` when Redis does not answer; asking again is safe.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, lane: str, identity: str, holder: str, *, lease_ms: int) -> int:
        """Take the hold of an account; return 0, or after how many ms to ask again.

        While a caller asks again, no worker takes it before.

        Args:
            lane: The account's, by its alias here.
            identity: What distinguishes the account from others; see `Lane.identity`.
            holder: Who is to have it.
            lease_ms: For how long at most.
        """
        return int(self._run(lane, identity, holder, lease_ms))

    def give_up(self, lane: str, identity: str, holder: str) -> None:
        """Give up a hold, if it is still the holder's."""
        self._run(lane, identity, holder, 0)

    def _run(self, lane: str, identity: str, holder: str, lease_ms: int) -> int:
        args = (lane, identity, holder, lease_ms)
        return int(self._store.run("hold", *args))
