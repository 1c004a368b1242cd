"""Rate slots taken ahead: fewer calls, and still no window with more than the rule allows."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.stepped_time import START_MS, Stepped
from worker import clock
from worker.model.constants import AHEAD_MS, AHEAD_SHARE
from worker.model.limits import Grant, Left, Rule
from worker.store.slot_pools import AHEAD_MAX, PoolingLimiter

RULE = Rule("r", max_requests=200, window_ms=1_000)
BAN = Rule("b", max_requests=1, window_ms=1, ban=True)
FLIGHT_MS = 400


@pytest.fixture
def stepped(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Stepped:
    """The clock of an empty Redis, and of this process."""
    stepped = Stepped(redis_url)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: float(stepped.now_ms - START_MS))
    return stepped


class Process:
    """A worker's limiter, with its pools."""

    def __init__(self, stepped: Stepped) -> None:
        store = stepped.store()
        self.calls: list[str] = []
        run = store.run

        def counted(name: str, *args: Any, **options: Any) -> Any:
            self.calls.append(name)
            return run(name, *args, **options)

        store.run = counted  # type: ignore[method-assign]
        self.limiter = PoolingLimiter(store)

    def reserve(self, *rules: Rule, flight_ms: int = FLIGHT_MS) -> Grant:
        """Ask for leave to send."""
        return self.limiter.reserve(rules or (RULE,), flight_ms=flight_ms)

    def send(self, *rules: Rule) -> Grant:
        """Send if there is leave; the reply comes at once."""
        grant = self.reserve(*rules)
        if not grant.wait_ms:
            self.limiter.landed(grant)
        return grant


@pytest.fixture
def process(stepped: Stepped) -> Process:
    return Process(stepped)


def taken(stepped: Stepped, rule: Rule = RULE) -> int:
    """Return how many slots of a rule are taken."""
    count: int = stepped.client.zcard(f"cx:limit:{rule.key}")  # type: ignore[assignment]
    return count


def kept(stepped: Stepped, process: Process, *rules: Rule) -> int:
    """Send every 5 ms until slots are kept; return how many."""
    sent = 0
    while taken(stepped) <= sent:
        assert process.send(*rules).wait_ms == 0
        sent += 1
        stepped.advance(5)
    return taken(stepped) - sent


@pytest.mark.parametrize("weight", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_no_window_holds_more_than_the_rule_allows(
    stepped: Stepped, seed: int, weight: int
) -> None:
    """Three processes at any pace, replies late or lost: as the exchange counts arrivals."""
    rng = random.Random(seed)
    rule = Rule("r", max_requests=120, window_ms=1_000, weight=weight)
    processes = [Process(stepped) for _ in range(3)]
    under_way: list[tuple[int, Process, Grant, bool]] = []
    arrivals: list[int] = []
    pace_ms, sent = 1, 0
    for step in range(1_500):
        if step % 100 == 0:
            pace_ms = rng.choice((0, 1, 1, 4, 30))
        stepped.advance(rng.randint(0, 2 * pace_ms))
        for reply in [each for each in under_way if each[0] <= stepped.now_ms]:
            under_way.remove(reply)
            _, owner, grant, arrived = reply
            owner.limiter.landed(grant, sent=arrived)
        process = rng.choice(processes)
        grant = process.reserve(rule)
        if grant.wait_ms:
            stepped.advance(min(grant.wait_ms, rng.choice((1, grant.wait_ms))))
            continue
        sent += 1
        left = rng.random() < 0.9
        at_ms = stepped.now_ms + rng.choice((0, 1, 20, FLIGHT_MS))
        if left:
            arrivals += [at_ms] * weight
        if rng.random() < 0.9:
            under_way.append((at_ms + rng.choice((0, 1, 30)), process, grant, left))
        if rng.random() < 0.02:
            rng.choice(processes).limiter.flush()
    arrivals.sort()
    over = rule.max_requests
    early = [
        later - first
        for first, later in zip(arrivals, arrivals[over:], strict=False)
        if later - first <= rule.window_ms
    ]
    assert not early
    calls = [call for each in processes for call in each.calls]
    assert calls.count("reserve_ahead") > 20
    assert sent > 300


def test_a_busy_process_asks_for_many_at_once(stepped: Stepped, process: Process) -> None:
    """A thousand requests a second cost a call for more than ten of them."""
    roomy = Rule("r", max_requests=100_000, window_ms=1_000)
    for _ in range(1_000):
        assert process.send(roomy).wait_ms == 0
        stepped.advance(1)
    assert len(process.calls) < 100
    process.limiter.flush()
    stepped.advance(roomy.window_ms)
    assert process.send(roomy).wait_ms == 0
    assert taken(stepped) <= 2 + AHEAD_MAX


def test_at_a_low_rate_each_request_has_a_slot_of_its_own(
    stepped: Stepped, process: Process
) -> None:
    """Its arrival is reported at once."""
    for n in range(5):
        process.send()
        assert taken(stepped) == n + 1
        stepped.advance(AHEAD_MS + 1)
    assert process.calls == ["reserve", "landed"] * 5


def test_few_are_kept_and_none_of_a_window_that_fills(stepped: Stepped, process: Process) -> None:
    """A process keeps at most a small part of a limit, and nothing past half of it."""
    most = 0
    for sent in range(1, RULE.max_requests):
        assert process.send().wait_ms == 0, sent
        most = max(most, taken(stepped) - sent)
        if sent > RULE.max_requests // 2:
            assert taken(stepped) == sent
    assert 0 < most <= RULE.max_requests // AHEAD_SHARE
    assert process.send().wait_ms == 0
    assert process.send().wait_ms > 0


def test_a_kept_slot_is_not_used_late(stepped: Stepped, process: Process) -> None:
    """After `AHEAD_MS` the process asks again, and gives back what it kept."""
    assert kept(stepped, process) > 0
    before = len(process.calls)
    stepped.advance(AHEAD_MS)
    process.send()
    assert len(process.calls) > before


def test_what_is_not_used_is_given_back(stepped: Stepped, process: Process) -> None:
    """The heartbeat reports it, once it can no longer be used."""
    left = kept(stepped, process)
    whole = taken(stepped)
    process.limiter.flush()
    assert taken(stepped) == whole
    stepped.advance(AHEAD_MS)
    process.limiter.flush()
    assert taken(stepped) == whole - left
    before = len(process.calls)
    process.limiter.flush()
    assert len(process.calls) == before


def test_an_arrival_that_is_reported_late_counts_from_the_report(
    stepped: Stepped, process: Process
) -> None:
    """Until then it counts as under way, however long the window."""
    kept(stepped, process)
    process.send()
    whole = taken(stepped)
    stepped.advance(RULE.window_ms)
    process.limiter.flush()
    stepped.advance(RULE.window_ms - 1)
    process.limiter.reserve((RULE,), flight_ms=0)
    assert 1 < taken(stepped) <= whole + 1


def test_no_slot_is_used_after_a_ban(stepped: Stepped, process: Process) -> None:
    """Kept slots of every rule are given back, and Redis grants no other."""
    left = kept(stepped, process, RULE, BAN)
    whole = taken(stepped)
    process.limiter.ban([BAN], 10_000)
    assert process.send(RULE, BAN).wait_ms > 9_000
    process.limiter.flush()
    assert taken(stepped) == whole - left


def test_a_slot_that_is_granted_before_redis_knows_of_a_ban_is_not_used(
    stepped: Stepped, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread takes slots ahead after the first look, and before the ban is recorded."""
    process.send(RULE, BAN)
    stepped.advance(1)
    run = process.limiter._store.run  # noqa: SLF001

    def as_another_thread_sends(name: str, *args: Any, **options: Any) -> Any:
        if name == "ban":
            while taken(stepped) <= len(sent):
                sent.append(process.send(RULE, BAN))
                stepped.advance(1)
        return run(name, *args, **options)

    sent = [Grant(0)]
    monkeypatch.setattr(process.limiter._store, "run", as_another_thread_sends)  # noqa: SLF001
    process.limiter.ban([BAN], 10_000)
    assert len(sent) > 1
    assert process.send(RULE, BAN).wait_ms > 9_000


def test_no_slot_comes_from_a_call_that_a_ban_overtook(
    stepped: Stepped, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ban that is noted while a call is under way takes what that call is given."""
    ahead: Callable[..., list[Grant]] = process.limiter.reserve_ahead
    given: list[Grant] = []

    def and_be_banned(*args: Any, **options: Any) -> list[Grant]:
        grants = ahead(*args, **options)
        given.extend(grants)
        process.limiter.ban([BAN], 10_000)
        return grants

    monkeypatch.setattr(process.limiter, "reserve_ahead", and_be_banned)
    refused = 0
    while not given:
        refused = process.send(RULE, BAN).wait_ms
        stepped.advance(1)
    assert len(given) > 1
    assert refused
    assert process.send(RULE, BAN).wait_ms > 9_000


def test_what_a_reply_says_is_left_counts_from_when_it_came(
    stepped: Stepped, process: Process
) -> None:
    """Reported later, it is out of date: what has been sent since then is not another's."""
    kept(stepped, process)
    grant = process.reserve()
    left = Left(RULE, requests=RULE.max_requests - taken(stepped), frees_ms=500)
    assert grant.ahead
    process.limiter.landed(grant.with_left([left]))
    stepped.advance(AHEAD_MS + 1)
    process.limiter.flush()
    whole = taken(stepped)
    stepped.advance(RULE.window_ms // 2)
    grant = process.reserve()
    process.limiter.landed(grant.with_left([left]))
    assert taken(stepped) <= whole + 1


def test_what_a_reply_says_is_left_counts_if_it_is_reported_soon(
    stepped: Stepped, process: Process
) -> None:
    """Others have used half of the limit, which is given back at the reset."""
    kept(stepped, process)
    grant = process.reserve()
    assert grant.ahead
    process.limiter.landed(
        grant.with_left([Left(RULE, requests=RULE.max_requests // 2, frees_ms=500)])
    )
    stepped.advance(AHEAD_MS // 2)
    process.limiter.report(process.limiter._unreported())  # noqa: SLF001
    assert taken(stepped) == RULE.max_requests // 2
    stepped.advance(500 - AHEAD_MS // 2)
    process.limiter.reserve((RULE,), flight_ms=0)
    assert taken(stepped) == RULE.max_requests // 2 + 1
    stepped.advance(1)
    process.limiter.reserve((RULE,), flight_ms=0)
    assert taken(stepped) < RULE.max_requests // 4


@pytest.mark.parametrize("kind", ["paced", "proven"])
def test_paced_and_proven_rules_ask_for_each(stepped: Stepped, process: Process, kind: str) -> None:
    """Few requests in a window: each waits for its own turn."""
    rule = Rule("r", max_requests=200, window_ms=1_000, **{kind: True})  # type: ignore[arg-type]
    for _ in range(5):
        process.send(rule)
        stepped.advance(1)
    assert process.calls.count("reserve") == 5
    assert "reserve_ahead" not in process.calls


def test_a_failover_has_kept_slots_reported(stepped: Stepped, process: Process) -> None:
    """A new master learns of slots that were taken ahead and not used yet."""
    kept(stepped, process)
    whole = taken(stepped)
    stepped.client.delete("cx:limit:r")
    process.limiter.recall("w")
    assert taken(stepped) == whole


def test_many_pools_are_not_kept_for_ever(stepped: Stepped, process: Process) -> None:
    """Rules by pair would have one for each pair that was ever used."""
    for n in range(2_000):
        process.send(Rule(f"pair{n}", max_requests=200, window_ms=1_000))
        stepped.advance(1)
    assert len(process.limiter._pools) <= 600  # noqa: SLF001
