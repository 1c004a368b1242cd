"""Bearer tokens: shared by all workers, stored sealed, fetched by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from tests.support.frozen_clock import KEPT_BY
from tests.support.stepped_time import Stepped
from worker.direct.limiter import MemoryLimiter
from worker.direct.mirror import mirrored
from worker.direct.nonces import MemoryNonces
from worker.direct.pair_lists import MemoryPairLists
from worker.direct.switches import MemorySwitches
from worker.direct.tokens import MemoryTokens
from worker.errors import StoreUnavailable
from worker.exchanges.base import Access
from worker.gateway.ports import Ports, TokenBox
from worker.model.outcomes import TokenGrant
from worker.model.tokens import MARGIN_MS, SHORT_MS, SharedToken, used_until_ms
from worker.store.connection import Store
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.pair_lists import SharedPairLists
from worker.store.switches import Switches
from worker.store.tokens import Tokens

ACCESS = Access(
    base_url="https://exchange.test",
    api_key="key-0123456789",
    api_secret="secret-0123456789",
    memo="memo-0123456789",
)
NOW_MS = 1_700_000_000_000
LIFE_MS = 900_000
PLAIN = "plain-token-0123456789abcdef"
LEASE_MS = 60_000


@pytest.fixture
def store(redis_url: str) -> Store:
    return Stepped(redis_url).store()


@pytest.fixture
def tokens(store: Store) -> Tokens:
    return Tokens(store)


@pytest.fixture(params=KEPT_BY)
def box(request: pytest.FixtureRequest) -> TokenBox:
    """Where tokens are kept: in an empty Redis, or by this process."""
    if request.param == "memory":
        return MemoryTokens()
    return Tokens(Stepped(request.getfixturevalue("redis_url")).store())


def put(tokens: TokenBox, token: str = PLAIN, life_ms: int = LIFE_MS) -> SharedToken:
    """Share a token that lives so long."""
    until_ms = used_until_ms(TokenGrant(token, NOW_MS + life_ms), now_ms=NOW_MS)
    return tokens.put("bm", ACCESS, token, until_ms=until_ms, now_ms=NOW_MS)


def get(tokens: TokenBox, now_ms: int = NOW_MS) -> str | None:
    """Return the token in use."""
    shared = tokens.get("bm", ACCESS, now_ms=now_ms)
    return shared.token if shared else None


def everything(store: Store) -> str:
    """Return all that Redis holds, names and values."""
    parts: list[str] = []
    names: Any = store.client.keys("*")
    for name in names:
        kind: Any = store.client.type(name)
        value: Any = store.client.get(name) if kind == "string" else store.client.hgetall(name)
        parts.append(f"{name} {value}")
    return "\n".join(parts)


def ttl_ms(store: Store, name: str) -> int:
    """Return for how long a key lives."""
    left: Any = store.client.pttl(name)
    return int(left)


def test_token_put_by_one_is_had_by_all(store: Store, tokens: Tokens) -> None:
    """Another worker reads what this one shared."""
    assert get(tokens) is None
    shared = put(tokens)
    assert shared.token == PLAIN
    assert Tokens(store).get("bm", ACCESS, now_ms=NOW_MS) == shared
    assert 0 < ttl_ms(store, "cx:token:bm") <= LIFE_MS


def test_token_is_stored_sealed(store: Store, tokens: Tokens) -> None:
    """Nothing in Redis can be used by one who reads it, nor printed by mistake."""
    shared = put(tokens)
    tokens.begin_refresh("bm", lease_ms=LEASE_MS)
    held = everything(store)
    for secret in (PLAIN, ACCESS.api_key, ACCESS.api_secret, ACCESS.memo):
        assert secret not in held
    assert PLAIN not in repr(shared)
    assert shared.sealed not in repr(shared)


def test_seal_differs_each_time(tokens: Tokens) -> None:
    """The same token sealed twice does not look the same."""
    assert put(tokens).sealed != put(tokens).sealed


@pytest.mark.parametrize(
    "other",
    [
        replace(ACCESS, api_secret="another-0123456789"),
        replace(ACCESS, api_secret=""),
    ],
)
def test_token_of_another_secret_is_not_used(box: TokenBox, other: Access) -> None:
    """A secret that was changed makes its old tokens unreadable."""
    put(box)
    assert box.get("bm", other, now_ms=NOW_MS) is None


def test_token_of_another_account_is_not_used(store: Store, tokens: Tokens) -> None:
    """A sealed token moved to another account's place is no token there."""
    put(tokens)
    store.client.copy("cx:token:bm", "cx:token:other")
    assert tokens.get("other", ACCESS, now_ms=NOW_MS) is None


@pytest.mark.parametrize("rubbish", ["", "rubbish", "gAAAAA", PLAIN, "\u20ac", "x" * 100_000])
def test_garbage_is_no_token(store: Store, tokens: Tokens, rubbish: str) -> None:
    """What was not sealed here is not read."""
    store.client.set("cx:token:bm", rubbish)
    assert get(tokens) is None


def test_token_is_not_used_shortly_before_it_ends(box: TokenBox) -> None:
    """A token that may end on the way is not sent."""
    put(box)
    assert get(box, NOW_MS + LIFE_MS - MARGIN_MS - 1) == PLAIN
    assert get(box, NOW_MS + LIFE_MS - MARGIN_MS) is None
    assert get(box, NOW_MS + LIFE_MS) is None


@pytest.mark.parametrize("life_ms", [3_300, SHORT_MS - 1, SHORT_MS])
def test_token_that_is_granted_for_short_is_used_until_it_ends(box: TokenBox, life_ms: int) -> None:
    """The next one would last no longer, and only so many are granted in a minute.

    Redis drops it by its own clock, so that it must outlast the two lines of the test.
    """
    shared = put(box, life_ms=life_ms)
    assert get(box, NOW_MS + life_ms - 1) == shared.token
    assert get(box, NOW_MS + life_ms) is None


def test_token_that_has_ended_is_put_without_an_error(box: TokenBox) -> None:
    """A grant that came late is not shared."""
    put(box, life_ms=-5)
    assert get(box) is None


def test_refused_token_is_dropped(box: TokenBox) -> None:
    """No worker uses again what the exchange refused."""
    shared = put(box)
    box.drop("bm", shared)
    assert get(box) is None
    box.drop("bm", shared)


def test_newer_token_is_not_dropped_with_the_old_one(box: TokenBox) -> None:
    """A refusal that comes late does not cost the next token."""
    old = put(box)
    put(box, "newer-0123456789")
    box.drop("bm", old)
    assert get(box) == "newer-0123456789"


def test_one_fetches_at_a_time(box: TokenBox) -> None:
    """While one fetches, no other asks the exchange for a token."""
    assert box.begin_refresh("bm", lease_ms=LEASE_MS)
    assert not box.begin_refresh("bm", lease_ms=LEASE_MS)
    assert box.begin_refresh("other", lease_ms=LEASE_MS)
    box.end_refresh("bm")
    assert box.begin_refresh("bm", lease_ms=LEASE_MS)


def test_one_of_many_threads_fetches(store: Store) -> None:
    """Of eight that ask at once, one is chosen."""
    together = Barrier(8)

    def begin(_: int) -> bool:
        together.wait()
        return Tokens(store).begin_refresh("bm", lease_ms=LEASE_MS)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(8))) == 1


def test_one_of_many_threads_of_a_process_fetches(box: TokenBox) -> None:
    """The same holds within one process, and a caller that was not chosen ends no turn."""
    together = Barrier(8)

    def begin(_: int) -> bool:
        together.wait()
        begun = box.begin_refresh("bm", lease_ms=LEASE_MS)
        together.wait()
        if not begun:
            box.end_refresh("bm")
        return begun

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(8))) == 1
    assert not box.begin_refresh("bm", lease_ms=LEASE_MS)


def test_lost_fetchers_turn_ends_with_its_lease(store: Store, tokens: Tokens) -> None:
    """A worker that died while fetching stops no other for longer."""
    assert tokens.begin_refresh("bm", lease_ms=LEASE_MS)
    assert 0 < ttl_ms(store, "cx:token:bm:refresh") <= LEASE_MS


def test_a_turn_whose_reply_was_lost_is_given_up(
    tokens: Tokens, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis gave it, and the answer was lost: another may fetch at once."""
    runs = store.run

    def unheard(name: str, *args: Any, **options: Any) -> Any:
        answer = runs(name, *args, **options)
        if name == "lease":
            assert answer == 1
            raise StoreUnavailable("the answer was lost")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(store, "run", unheard)
        with pytest.raises(StoreUnavailable):
            tokens.begin_refresh("bm", lease_ms=LEASE_MS)
    assert tokens.begin_refresh("bm", lease_ms=LEASE_MS)


def test_late_fetcher_does_not_end_anothers_turn(store: Store, tokens: Tokens) -> None:
    """One whose lease ran out while it was frozen lets no third one in."""
    assert tokens.begin_refresh("bm", lease_ms=LEASE_MS)
    store.client.delete("cx:token:bm:refresh")  # as when the lease runs out
    other = Tokens(store)
    assert other.begin_refresh("bm", lease_ms=LEASE_MS)
    tokens.end_refresh("bm")
    assert not tokens.begin_refresh("bm", lease_ms=LEASE_MS)
    other.end_refresh("bm")
    assert tokens.begin_refresh("bm", lease_ms=LEASE_MS)


def test_late_thread_does_not_end_anothers_turn(store: Store, tokens: Tokens) -> None:
    """The same holds between two threads of one worker."""
    assert tokens.begin_refresh("bm", lease_ms=LEASE_MS)
    store.client.delete("cx:token:bm:refresh")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tokens.begin_refresh, "bm", lease_ms=LEASE_MS).result()
        tokens.end_refresh("bm")
        assert not tokens.begin_refresh("bm", lease_ms=LEASE_MS)
        pool.submit(tokens.end_refresh, "bm").result()
    assert tokens.begin_refresh("bm", lease_ms=LEASE_MS)


def test_who_does_not_fetch_ends_nobodys_turn(store: Store, tokens: Tokens) -> None:
    """Ending what was never begun does nothing."""
    assert Tokens(store).begin_refresh("bm", lease_ms=LEASE_MS)
    tokens.end_refresh("bm")
    assert not tokens.begin_refresh("bm", lease_ms=LEASE_MS)


def test_token_seen_in_redis_is_used_as_long_without_it(store: Store, tokens: Tokens) -> None:
    """What a process keeps for itself ends when the shared token does, not sooner."""
    put(tokens)
    own = MemoryTokens()
    others = (MemoryLimiter(), MemoryNonces(), own, MemorySwitches(), MemoryPairLists())
    common = Ports(Limiter(store), Nonces(store), tokens, Switches(store), SharedPairLists(store))
    box = mirrored(common, Ports(*others)).tokens
    assert get(box) == PLAIN
    assert get(own, NOW_MS + LIFE_MS - MARGIN_MS - 1) == PLAIN
    assert get(own, NOW_MS + LIFE_MS - MARGIN_MS) is None
