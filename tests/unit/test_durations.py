"""Time spans as people type them."""

from __future__ import annotations

import pytest

from worker.config.settings import Settings
from worker.model.durations import duration_ms


@pytest.mark.parametrize(
    ("text", "unit", "ms"),
    [
        ("500ms", "s", 500),
        ("30s", "ms", 30_000),
        ("2m", "", 120_000),
        ("1.5h", "", 5_400_000),
        ("1d", "", 86_400_000),
        (" 5 s ", "", 5_000),
        ("5", "s", 5_000),
        ("0.05", "s", 50),
        ("120000", "ms", 120_000),
    ],
)
def test_a_span_is_read(text: str, unit: str, ms: int) -> None:
    """A number without a unit has its option's."""
    assert duration_ms(text, unit=unit) == ms


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 weeks", "5S", "1e3s", "nan", "5s5", "٣s"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """The text says how to write it."""
    with pytest.raises(ValueError, match="give a time such as 500ms, 30s, 2m, 1h"):
        duration_ms(text)


def test_a_number_without_any_unit_is_refused() -> None:
    """Where the option has none of its own; else its unit is named."""
    with pytest.raises(ValueError, match=r"^45 has no unit: give 45s, 45ms or 45m$"):
        duration_ms("45")
    with pytest.raises(ValueError, match=r"2m, 1h, or a number of seconds$"):
        duration_ms("soon", unit="s")


def test_settings_take_spans_and_numbers() -> None:
    """In tables and at the top."""
    settings = Settings.model_validate(
        {"redis_timeout_ms": "1s", "jobs": {"max_age_ms": "2h", "lease_ms": "20000"}}
    )
    assert settings.redis_timeout_ms == 1_000
    assert (settings.jobs.max_age_ms, settings.jobs.lease_ms) == (7_200_000, 20_000)
