"""Settings that are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import ACCOUNT, KEYS, SECRET, Place
from worker.config.settings import Settings
from worker.errors import UnknownAccount
from worker.exchanges import EXCHANGES


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_nothing_set_is_a_local_redis_and_no_account(place: Place) -> None:
    """The defaults are whole."""
    settings = place.load()
    assert settings.redis_address == "redis://127.0.0.1:6379/0"
    assert settings.accounts == {}
    assert settings.sentry_address is None


def test_file_in_the_folder_is_read(place: Place) -> None:
    """`worker.toml` needs no variable to be found."""
    place.toml(ACCOUNT + KEYS)
    access = place.load().access("ix")
    assert (access.api_key, access.api_secret) == (f"{SECRET}k", SECRET)
    assert (access.base_url, access.auth) == ("https://indodax.com/tapi", "nonce")


def test_an_address_has_one_form(place: Place) -> None:
    """Accounts that send from it share its limits, however each writes it."""
    place.toml(ACCOUNT + KEYS + 'egress_ip = "2001:DB8:0::1"\n')
    assert place.load().accounts["ix"].egress_ip == "2001:db8::1"


def test_named_file_is_read_instead(place: Place) -> None:
    """`WORKER_CONFIG` names another file."""
    place.toml(ACCOUNT + KEYS)
    place.env(WORKER_CONFIG=str(place.toml("redis_timeout_ms = 50", "other.toml")))
    settings = place.load()
    assert settings.accounts == {}
    assert settings.redis_timeout_ms == 50


def test_empty_variable_names_no_file(place: Place) -> None:
    """An empty `WORKER_CONFIG` is as none at all."""
    place.toml("redis_timeout_ms = 50")
    place.env(WORKER_CONFIG="")
    assert place.load().redis_timeout_ms == 50


def test_environment_wins_over_the_file(place: Place) -> None:
    """Each value may be overridden alone, at every level."""
    place.toml(ACCOUNT + KEYS + "[jobs]\nlease_ms = 20000\nmax_attempts = 7\n")
    place.env(
        WORKER_JOBS__LEASE_MS="9000",
        WORKER_ACCOUNTS__IX__API_SECRET="from-the-environment",
        WORKER_ACCOUNTS__IX__AUTH="timestamp",
        WORKER_REDIS_URL="redis://elsewhere:1/2",
    )
    settings = place.load()
    assert (settings.jobs.lease_ms, settings.jobs.max_attempts) == (9_000, 7)
    assert settings.access("ix").api_secret == "from-the-environment"
    assert settings.access("ix").api_key == f"{SECRET}k"
    assert not settings.account("ix").uses_nonce
    assert settings.redis_address == "redis://elsewhere:1/2"


def test_account_may_come_from_the_environment_alone(place: Place) -> None:
    """No file is needed at all."""
    place.env(
        WORKER_ACCOUNTS__BM__EXCHANGE="bitmart",
        WORKER_ACCOUNTS__BM__API_KEY="k",
        WORKER_ACCOUNTS__BM__API_SECRET="s",
        WORKER_ACCOUNTS__BM__MEMO="m",
        WORKER_ACCOUNTS__BM__LIMITS__ORDERS__MAX_REQUESTS="9",
        WORKER_ACCOUNTS__BM__LIMITS__ORDERS__WINDOW_MS="500",
    )
    settings = place.load()
    assert settings.access("bm").memo == "m"
    orders = next(x for x in settings.account("bm").limits_in_force if x.name == "orders")
    assert (orders.max_requests, orders.window_ms) == (9, 500)


def test_tables_may_come_as_json(place: Place) -> None:
    """A whole table fits into one variable."""
    place.env(WORKER_JOBS='{"lease_ms": 8000}', WORKER_JOBS__MAX_ATTEMPTS="3")
    jobs = place.load().jobs
    assert (jobs.lease_ms, jobs.max_attempts) == (8_000, 3)


@pytest.mark.parametrize(
    "secret",
    ["123456", "0123", "1e5", "true", "null", "NaN", '"quoted"', "{a}", "[1]", '{"a": 1}', "a=b c"],
)
def test_secret_in_the_environment_is_taken_as_it_is(place: Place, secret: str) -> None:
    """A secret that looks like a number or like JSON is still text."""
    place.toml(ACCOUNT)
    place.env(WORKER_ACCOUNTS__IX__API_KEY="k", WORKER_ACCOUNTS__IX__API_SECRET=secret)
    assert place.load().access("ix").api_secret == secret


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"bare", "bare"),
        (b"with-newline\n", "with-newline"),
        (b"with-windows-newline\r\n", "with-windows-newline"),
        (b"\n  around \n\n", "around"),
        (b"\xef\xbb\xbfafter-a-byte-order-mark\n", "after-a-byte-order-mark"),
        ("gel\u00f6scht".encode(), "gel\u00f6scht"),
        (b"x" * 16_000, "x" * 16_000),
    ],
)
def test_secret_file_holds_the_bare_secret(place: Place, content: bytes, secret: str) -> None:
    """What editors put around a secret is not part of it."""
    path = place.toml(content, "secret")
    place.toml(ACCOUNT + f'api_key = "k"\napi_secret_file = "{path}"\n')
    assert place.load().access("ix").api_secret == secret


def test_addresses_may_lie_in_files(place: Place) -> None:
    """What holds a password need not lie in the settings."""
    redis = place.toml("redis://:pw@host:1/0\n", "redis")
    dsn = place.toml("https://key@sentry.test/1", "dsn")
    place.toml(f'redis_url_file = "{redis}"\nsentry_dsn_file = "{dsn}"\n')
    settings = place.load()
    assert settings.redis_address == "redis://:pw@host:1/0"
    assert settings.sentry_address == "https://key@sentry.test/1"


def test_foreign_variables_are_left_alone(place: Place) -> None:
    """Kubernetes puts such into every pod beside a service called "worker"."""
    place.env(
        WORKER_SERVICE_HOST="10.0.0.1",
        WORKER_SERVICE_PORT="80",
        WORKER_SERVICE_PORT_HTTP="80",
        WORKER_PORT="tcp://10.0.0.1:80",
        WORKER_PORT_80_TCP_ADDR="10.0.0.1",
        WORKERS="8",
    )
    assert place.load().accounts == {}


@pytest.mark.parametrize(
    "url",
    [
        "https://host/path",
        "https://host/path/",
        "http://127.0.0.1:8400/indodax/tapi",
        "http://localhost:1",
        "http://[::1]:8400",
        "HTTPS://host",
    ],
)
def test_base_url_may_be_given(place: Place, url: str) -> None:
    """Any host by TLS, this machine without."""
    place.toml(ACCOUNT + KEYS + f'base_url = "{url}"\n')
    assert place.load().access("ix").base_url == url.rstrip("/")


def test_test_hosts_are_known(place: Place) -> None:
    """`testnet` names the documented host."""
    place.toml(ACCOUNT + KEYS + "testnet = true\n")
    assert place.load().access("ix").base_url == EXCHANGES["indodax"].hosts.testnet


@pytest.mark.parametrize("alias", ["a", "0", "a-b_c", "x" * 32, "exchange", "accounts", "jobs"])
def test_aliases_are_free_within_their_form(place: Place, alias: str) -> None:
    """A setting's own name may be an alias too."""
    place.toml(f'[accounts.{alias}]\nexchange = "indodax"\n{KEYS}')
    assert place.load().account(alias).exchange == "indodax"


def test_limits_not_overridden_stay(place: Place) -> None:
    """An override replaces its own limit and no other."""
    place.toml(ACCOUNT + KEYS + "limits.cancels = {max_requests = 1, window_ms = 2}\n")
    account = place.load().account("ix")
    defaults = {x.name: x for x in EXCHANGES["indodax"].capabilities.limits}
    for limit in account.limits_in_force:
        default = defaults[limit.name]
        assert (limit.commands, limit.per) == (default.commands, default.per)
        if limit.name == "cancels":
            assert (limit.max_requests, limit.window_ms) == (1, 2)
        else:
            assert limit == default


def test_unknown_account_lists_the_known(place: Place) -> None:
    """The fix of a wrong alias is in its error."""
    place.toml(ACCOUNT + KEYS)
    with pytest.raises(UnknownAccount, match="unknown account 'nix'; known: ix"):
        place.load().account("nix")


def test_settings_hide_their_secrets(place: Place) -> None:
    """What is printed by mistake holds none."""
    place.toml(ACCOUNT + KEYS + f'[accounts.bm]\nexchange = "bitmart"\nmemo = "{SECRET}"\n{KEYS}')
    place.env(WORKER_REDIS_URL=f"redis://:{SECRET}@host", WORKER_SENTRY_DSN=f"https://{SECRET}@h")
    settings = place.load()
    for shown in (repr(settings), str(settings), repr(settings.access("bm"))):
        assert SECRET not in shown
    assert SECRET not in settings.model_dump_json()


def test_settings_cannot_be_changed(place: Place) -> None:
    """What was checked stays as it was checked."""
    settings = place.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.redis_timeout_ms = 1  # type: ignore[misc]  # what is tried
    assert isinstance(settings, Settings)
