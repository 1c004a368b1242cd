"""The exchange's clock, as learned from the Date of its replies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker import clock
from worker.gateway.clock_skew import FORGET_MS, ClockSkew
from worker.model.wire import Reply

START_MS = 1_700_000_000_000
AHEAD_MS = 1_000
"""A timestamp this far ahead of the exchange's clock is refused."""
RECV_WINDOW_MS = 5_000

PROPERTY = settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Local:
    """The local clock, under the test's hand."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.uptime_ms = 5_000_000.0

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.now_ms += ms
        self.uptime_ms += ms


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    """Replace the local clock."""
    local = Local()
    monkeypatch.setattr(clock, "now_ms", lambda: local.now_ms)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: local.uptime_ms)
    return local


def http_date(ms: float) -> str:
    """Return a time as a Date header has it: cut to the second."""
    return format_datetime(datetime.fromtimestamp(int(ms // 1_000), UTC), usegmt=True)


def reply(date: str, received_ms: int) -> Reply:
    """Return a reply with this Date."""
    return Reply(status=200, headers={"date": date}, body=b"{}", received_ms=received_ms)


def call(local: Local, skew: ClockSkew, *, fast_ms: int, out_ms: int, back_ms: int) -> int:
    """Make a call by a clock that is fast; return by how much its stamp was ahead on arrival."""
    sent_ms, stamp_ms = local.now_ms, skew.now_ms()
    local.advance(out_ms)
    server_ms = local.now_ms - fast_ms
    local.advance(back_ms)
    skew.learn(reply(http_date(server_ms), local.now_ms), sent_ms=sent_ms)
    return stamp_ms - server_ms


def accepted(ahead_ms: int) -> bool:
    """Return whether the exchange takes a timestamp that is so far ahead of its clock."""
    return -RECV_WINDOW_MS <= ahead_ms < AHEAD_MS


legs = st.integers(0, 500)


@PROPERTY
@given(
    start=st.integers(0, 5_000),
    calls=st.lists(st.tuples(legs, legs, st.integers(0, 3_000)), min_size=2, max_size=8),
)
@pytest.mark.parametrize("fast_ms", [1_500, 1_501, 2_000, 30_000, 3_600_000, -5_100, -3_600_000])
def test_a_wrong_clock_is_corrected_by_the_first_reply(
    local: Local, fast_ms: int, start: int, calls: list[tuple[int, int, int]]
) -> None:
    """Only the first request may be refused, whatever the ways and wherever in its second."""
    local.now_ms = START_MS + start
    skew = ClockSkew()
    ahead = []
    for out_ms, back_ms, pause_ms in calls:
        ahead.append(call(local, skew, fast_ms=fast_ms, out_ms=out_ms, back_ms=back_ms))
        local.advance(pause_ms)
    assert not accepted(ahead[0])
    assert all(accepted(each) for each in ahead[1:]), ahead


@PROPERTY
@given(
    start=st.integers(0, 5_000),
    calls=st.lists(
        st.tuples(st.integers(0, 2_500), st.integers(0, 2_500), st.integers(0, 90_000)),
        max_size=12,
    ),
)
def test_clocks_that_agree_are_never_corrected(
    local: Local, start: int, calls: list[tuple[int, int, int]]
) -> None:
    """However slow the ways are, and however often the bounds are learned again."""
    local.now_ms = START_MS + start
    skew = ClockSkew()
    for out_ms, back_ms, pause_ms in calls:
        call(local, skew, fast_ms=0, out_ms=out_ms, back_ms=back_ms)
        assert skew.ahead_ms == 0
        local.advance(pause_ms)


@PROPERTY
@given(
    fast_ms=st.integers(-20_000, 20_000),
    start=st.integers(0, 5_000),
    calls=st.lists(st.tuples(legs, legs, st.integers(0, 3_000)), min_size=1, max_size=8),
)
def test_the_correction_is_within_the_bounds(
    local: Local, fast_ms: int, start: int, calls: list[tuple[int, int, int]]
) -> None:
    """It is off by half a second and half of the shortest round trip at most."""
    local.now_ms = START_MS + start
    skew = ClockSkew()
    for out_ms, back_ms, pause_ms in calls:
        call(local, skew, fast_ms=fast_ms, out_ms=out_ms, back_ms=back_ms)
        local.advance(pause_ms)
    trip_ms = min(out_ms + back_ms for out_ms, back_ms, _ in calls)
    if skew.ahead_ms:
        assert abs(skew.ahead_ms + fast_ms) <= (999 + trip_ms) / 2
    else:
        assert abs(fast_ms) <= 999 + trip_ms


def test_nothing_is_corrected_before_the_first_reply(local: Local) -> None:
    """The exchange's time is ours until something is known."""
    skew = ClockSkew()
    assert skew.ahead_ms == 0
    assert skew.now_ms() == local.now_ms


@pytest.mark.parametrize("step_ms", [1_800, -4_000, 60_000, -60_000])
def test_a_clock_that_is_set_is_noticed(local: Local, step_ms: int) -> None:
    """When the local clock is set again, what was learned gives way to what contradicts it."""
    skew = ClockSkew()
    for _ in range(20):
        call(local, skew, fast_ms=0, out_ms=20, back_ms=20)
        local.advance(333)
    local.now_ms += step_ms
    call(local, skew, fast_ms=step_ms, out_ms=20, back_ms=20)
    assert accepted(call(local, skew, fast_ms=step_ms, out_ms=20, back_ms=20))


def test_old_bounds_are_forgotten(local: Local) -> None:
    """Clocks drift: what was learned long ago does not narrow what is learned now."""
    skew = ClockSkew()
    call(local, skew, fast_ms=2_000, out_ms=5, back_ms=5)
    narrow = skew.ahead_ms
    local.advance(FORGET_MS + 1)
    call(local, skew, fast_ms=1_200, out_ms=5, back_ms=5)
    assert skew.ahead_ms != narrow
    assert abs(skew.ahead_ms + 1_200) <= 505


def test_a_clock_set_in_mid_call_teaches_nothing(local: Local) -> None:
    """A reply that seems to have come before it was asked for bounds nothing."""
    skew = ClockSkew()
    date = http_date(local.now_ms)
    skew.learn(reply(date, local.now_ms - 60_000), sent_ms=local.now_ms)
    assert skew.ahead_ms == 0


GARBAGE = [
    "",
    " ",
    "0",
    "now",
    "Fri",
    "Fri, 32 Nov 2026 19:01:15 GMT",
    "Fri, 20 Nov 2026 25:01:15 GMT",
    "Fri, 20 Foo 2026 19:01:15 GMT",
    "Fri, 20 Nov 99999 19:01:15 GMT",
    "Fri, 20 Nov 2026 19:01:15 +999999",
    "\x00\xff",
    "1700000000000",
    "2026-11-20T19:01:15Z",
    # Read well, and yet no clock that an exchange runs by.
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359",
]


@pytest.mark.parametrize("date", GARBAGE)
def test_garbage_is_ignored(local: Local, date: str) -> None:
    """It neither raises nor moves what is known."""
    skew = ClockSkew()
    skew.learn(reply(date, local.now_ms), sent_ms=local.now_ms - 10)
    assert skew.ahead_ms == 0
    call(local, skew, fast_ms=3_000, out_ms=5, back_ms=5)
    known = skew.ahead_ms
    skew.learn(reply(date, local.now_ms), sent_ms=local.now_ms - 10)
    assert skew.ahead_ms == known


def test_a_reply_without_a_date_is_ignored(local: Local) -> None:
    """Not every reply has one."""
    skew = ClockSkew()
    skew.learn(Reply(200, {}, b"", local.now_ms), sent_ms=local.now_ms)
    assert skew.ahead_ms == 0


dated = st.from_regex(
    r"[A-Z][a-z]{2},? -?[0-9]{1,5}[ -][A-Za-z]{3}[ -][0-9]{1,6} "
    r"[0-9]{1,3}:[0-9]{1,3}(:[0-9.]{1,4})? ?([A-Z]{1,4}|[-+][0-9]{1,7})?",
    fullmatch=True,
)


@PROPERTY
@given(date=st.one_of(st.text(max_size=40), dated))
def test_no_date_raises(local: Local, date: str) -> None:
    """Whatever is in the header, a reply is read."""
    skew = ClockSkew()
    skew.learn(reply(date, local.now_ms), sent_ms=local.now_ms - 10)
    assert abs(skew.ahead_ms) < 2 * 86_400_000


@pytest.fixture
def jakarta() -> Iterator[None]:
    """Have the machine be where local time is not UTC."""
    former = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Jakarta"
    time.tzset()
    yield
    del os.environ["TZ"]
    if former is not None:
        os.environ["TZ"] = former
    time.tzset()


@pytest.mark.usefixtures("jakarta")
@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S -0000", "%a %b %d %H:%M:%S %Y"])
def test_a_date_without_a_zone_is_in_utc(local: Local, form: str) -> None:
    """HTTP knows no other, in any of its forms, wherever the worker runs."""
    skew = ClockSkew()
    date = datetime.fromtimestamp(local.now_ms / 1_000, UTC).strftime(form)
    skew.learn(reply(date, local.now_ms + 20), sent_ms=local.now_ms)
    assert skew.ahead_ms == 0


def test_clocks_found_apart_are_news_once(local: Local) -> None:
    """Not each reply reports it again; once together, and apart again, it is news again."""
    skew = ClockSkew()

    def learn(ahead_ms: int) -> bool:
        local.advance(FORGET_MS + 1)
        date = http_date(local.now_ms + ahead_ms)
        return skew.learn(reply(date, local.now_ms), sent_ms=local.now_ms - 5)

    told = [learn(ahead_ms) for ahead_ms in (0, 500, 30_000, 30_000, -30_000, 0, -4_000, -4_000)]
    assert told == [False, False, True, False, False, False, True, False]


def test_the_doubt_is_how_far_the_exchange_may_be_behind(local: Local) -> None:
    """A second before any reply; then what the replies leave open."""
    skew = ClockSkew()
    assert skew.doubt_ms == 1_000
    local.now_ms = START_MS + 400
    skew.learn(reply(http_date(START_MS), local.now_ms), sent_ms=local.now_ms)
    assert (skew.ahead_ms, skew.doubt_ms) == (0, 400)
    local.now_ms = START_MS + 1_030
    skew.learn(reply(http_date(START_MS + 1_000), local.now_ms), sent_ms=local.now_ms)
    assert (skew.ahead_ms, skew.doubt_ms) == (0, 30)


def test_the_doubt_of_clocks_that_are_apart_is_half_of_what_is_open(local: Local) -> None:
    """The middle of the bounds is used."""
    skew = ClockSkew()
    local.now_ms = START_MS
    skew.learn(reply(http_date(START_MS - 60_000), local.now_ms), sent_ms=local.now_ms)
    assert (skew.ahead_ms, skew.doubt_ms) == (-59_500.5, 500)
