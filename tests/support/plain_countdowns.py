"""A worker that takes plain countdown messages, on a stepped clock."""

from __future__ import annotations

from tests.support.switchboard import Board
from worker.config.settings import Settings
from worker.messaging.plain_messages import move_switch
from worker.messaging.runtime import Runtime
from worker.model.messages import CountdownMessage
from worker.model.settlements import new_id
from worker.model.switches import SwitchRecord

PAIRS = ("a_x", "b_x")
T_MS = 20_000
KEYS = {"api_key": "key-0123456789", "api_secret": "secret-0123456789"}
ACCOUNTS = {"ix": {"exchange": "indodax", **KEYS}, "ev": {"exchange": "everstrike", **KEYS}}


class Plain:
    """A worker that takes plain messages, on a stepped clock."""

    def __init__(self, url: str) -> None:
        self.board = Board(url)
        self.alias = "ix"
        self.runtime = Runtime(Settings(redis_url=url, accounts=ACCOUNTS))
        self.runtime.switches = self.board.switches

    def say(
        self,
        timeout_ms: int,
        *,
        late_ms: int | None = None,
        pairs: tuple[str, ...] = PAIRS,
        alias: str = "",
        task_id: str = "",
        again: bool = False,
    ) -> str:
        """Take a message that was sent `late_ms` ago, or does not say when; each has its own id."""
        sent_ms = None if late_ms is None else self.board.now_ms - late_ms
        message = CountdownMessage(alias or self.alias, pairs, timeout_ms, sent_ms)
        task_id = task_id or new_id()
        return move_switch(self.runtime, message, task_id=task_id, again=again)

    def only(self, *, states: tuple[str, ...] = ("armed",)) -> SwitchRecord | None:
        """Return the one switch in these states, or None."""
        found = [s for s in self.board.switches.recent(limit=99) if s.state in states]
        assert len(found) <= 1
        return found[0] if found else None

    def left_ms(self) -> int | None:
        """Return what is left to the only deadline there is."""
        switch = self.only()
        return switch.deadline_ms - self.board.now_ms if switch else None
