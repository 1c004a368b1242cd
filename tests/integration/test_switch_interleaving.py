"""Nothing stale reaches the exchange, however strategies and dying workers interleave."""

from __future__ import annotations

import pytest

from tests.support.interleaving import History, fresh
from tests.support.reconcilers import stand

HISTORIES = 150
"""In the suite; `--rounds 30` makes 1,500."""


@pytest.mark.timeout(1_200)  # a minute on an idle machine
def test_nothing_stale_reaches_the_exchange(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """One request at a time, none after a newer one's, none past its deadline; then all agree."""
    accepted = 0
    with stand(redis_url, monkeypatch) as keeping:
        for seed in range(HISTORIES * rounds // 3):
            fresh(keeping)
            history = History(keeping, seed)
            try:
                history.run()
            except AssertionError as error:
                error.add_note(f"in the history of seed {seed}")
                raise
            accepted += history.accepted
    assert accepted > 2 * HISTORIES
