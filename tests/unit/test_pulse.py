"""When heartbeats are due, what of a failure the strategy learns, and when."""

from __future__ import annotations

import math

from worker.client.pulse import Pulse
from worker.errors import StoreUnavailable, SwitchTripped

T_MS = 30_000
DOWN = StoreUnavailable("Redis did not answer")


def test_the_next_heartbeat_is_due_a_third_of_the_timeout_after_the_last_was_sent() -> None:
    """However long Redis took to answer."""
    pulse = Pulse(T_MS, now_ms=0)
    assert pulse.beaten(0, sent_ms=5) == 10_005
    assert pulse.deadline_ms == T_MS


def test_a_heartbeat_confirms_the_progress_that_it_carried() -> None:
    """Not the time at which it was sent; and an answer that comes late moves nothing back."""
    pulse = Pulse(T_MS, now_ms=0)
    pulse.beaten(7_000, sent_ms=9_000)
    assert pulse.deadline_ms == 37_000
    pulse.beaten(2_000, sent_ms=2_500)
    assert pulse.deadline_ms == 37_000


def test_rare_progress_is_sent_at_once() -> None:
    """From half a timeout after what is confirmed, so that no third of one is waited for."""
    pulse = Pulse(T_MS, now_ms=0)
    assert pulse.prompt_ms == math.inf
    pulse.beaten(1_000, sent_ms=1_000)
    assert pulse.prompt_ms == 16_000
    pulse.failed(DOWN, now_ms=2_000)
    assert pulse.prompt_ms == math.inf


def test_an_outage_is_ridden_out_up_to_the_deadline() -> None:
    """Then the strategy learns of it once; one heartbeat that comes through ends it."""
    pulse = Pulse(T_MS, now_ms=0)
    pulse.beaten(1_000, sent_ms=1_000)
    assert pulse.failed(DOWN, now_ms=11_000) == (12_000, False)
    assert pulse.failed(DOWN, now_ms=30_900) == (31_000, False)
    assert pulse.error is None
    assert pulse.failed(DOWN, now_ms=31_000) == (32_000, True)
    assert isinstance(pulse.error, StoreUnavailable)
    assert "Redis did not answer" in str(pulse.error)
    assert pulse.failed(DOWN, now_ms=32_000) == (33_000, False)
    assert not pulse.ended
    pulse.beaten(33_000, sent_ms=33_000)
    assert pulse.error is None


def test_pauses_after_failures_follow_the_timeout() -> None:
    """Short timeouts leave no time for a second of waiting."""
    for timeout_ms, pause_ms in ((1_000, 50), (12_000, 500), (120_000, 1_000)):
        assert Pulse(timeout_ms, now_ms=0).failed(DOWN, now_ms=0) == (pause_ms, False)


def test_an_ended_switch_is_final() -> None:
    """No heartbeat follows."""
    pulse = Pulse(T_MS, now_ms=0)
    assert pulse.failed(SwitchTripped("it tripped"), now_ms=5) == (math.inf, True)
    assert pulse.ended
    assert isinstance(pulse.error, SwitchTripped)
