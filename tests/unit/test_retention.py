"""How long outcomes are kept, by how full Redis is."""

from __future__ import annotations

import pytest

from worker.policy.retention import EASE, SHORTEST_MS, TIGHT, kept_ms

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("used", "kept"),
    [
        (None, DAY_MS),
        (0.0, DAY_MS),
        (EASE, DAY_MS),
        ((EASE + TIGHT) / 2, (DAY_MS + SHORTEST_MS) // 2),
        (TIGHT, SHORTEST_MS),
        (1.2, SHORTEST_MS),
    ],
)
def test_kept(used: float | None, kept: int) -> None:
    """As long as is set up to half, then less, and never less than some minutes."""
    assert kept_ms(DAY_MS, used) == kept


def test_what_is_set_shorter_stays_so() -> None:
    """A retention below the shortest is left alone."""
    assert {kept_ms(5_000, used) for used in (None, 0.1, 0.6, 0.99)} == {5_000}
