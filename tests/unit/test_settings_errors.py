"""Settings that are wrong: one line that names the place, the key and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import ACCOUNT, KEYS, SECRET, Place
from worker.config.settings import load_settings
from worker.errors import SettingsError
from worker.factory import build_dispatcher, build_sessions, secrets_of
from worker.store.connection import connect


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


FILE = "worker.toml"
BITMART = '[accounts.bm]\nexchange = "bitmart"\n'
EVERSTRIKE = '[accounts.ev]\nexchange = "everstrike"\n'


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        # Unknown names, at every level; the fix lists the known ones of that level.
        (f'redis_ulr = "{SECRET}"', ["redis_ulr", "unknown key", "redis_url"]),
        (f'[acounts.ix]\napi_key = "{SECRET}"', ["acounts", "unknown key", "accounts"]),
        (f'[http]\ntimeout = "{SECRET}"', ["http.timeout", "unknown key", "deadline_ms"]),
        (f'[jobs]\nlease = "{SECRET}"', ["jobs.lease", "unknown key", "lease_ms"]),
        (f'[worker]\nthreads = "{SECRET}"', ["worker.threads", "unknown key", "concurrency"]),
        (f'[switches]\ntimeout = "{SECRET}"', ["switches.timeout", "unknown key", "transit_ms"]),
        (ACCOUNT + f'secret = "{SECRET}"', ["accounts.ix.secret", "unknown key", "api_secret"]),
        (
            ACCOUNT + f'limits.cancels = {{max = "{SECRET}", max_requests = 1, window_ms = 1}}',
            ["accounts.ix.limits.cancels.max", "unknown key", "known: max_requests, window_ms"],
        ),
        (
            f'[accounts.exchange]\nexchange = "indodax"\nsecret = "{SECRET}"',
            ["accounts.exchange.secret", "unknown key", "api_secret"],
        ),
        (
            f'[accounts.limits]\nexchange = "indodax"\nsecret = "{SECRET}"',
            ["accounts.limits.secret", "unknown key", "api_secret"],
        ),
        ('"a\\nb" = 1', ["unknown key", "redis_url"]),
        (f'"{"k" * 3_000}" = 1', ["unknown key"]),
        # Wrong types.
        ("accounts = 1", ["accounts", "dictionary"]),
        (f'accounts = ["{SECRET}"]', ["accounts", "dictionary"]),
        (f'[accounts]\nix = "{SECRET}"', ["accounts.ix", "dictionary"]),
        (f'http = "{SECRET}"', ["http", "dictionary"]),
        (f'redis_url = ["{SECRET}"]', ["redis_url", "string"]),
        (f'[jobs]\nlease_ms = "{SECRET}"', ["jobs.lease_ms", "integer"]),
        ("[jobs]\nlease_ms = 1.5", ["jobs.lease_ms", "integer"]),
        ("[jobs]\nmax_attempts = 0", ["jobs.max_attempts", "greater than 0"]),
        (f'[http]\ntrust_env = "{SECRET}"', ["http.trust_env", "boolean"]),
        (f'[worker]\nlog_level = "{SECRET}"', ["worker.log_level", "DEBUG"]),
        (f'key_prefix = "{SECRET} !"', ["key_prefix", "A-Z"]),
        (ACCOUNT + f'api_secret = {{a = "{SECRET}"}}', ["accounts.ix.api_secret", "string"]),
        (ACCOUNT + f'testnet = "{SECRET}"', ["accounts.ix.testnet", "boolean"]),
        (ACCOUNT + "limits.cancels = 1", ["accounts.ix.limits.cancels", "dictionary"]),
        (
            ACCOUNT + "limits.cancels = {max_requests = 1}",
            ["accounts.ix.limits.cancels.window_ms", "equired"],
        ),
        # Wrong values.
        ("[accounts.ix]\n" + KEYS, ["accounts.ix.exchange", "equired"]),
        (
            f'[accounts.ix]\nexchange = "{SECRET}"',
            ["accounts.ix.exchange", "unknown exchange", "use one of bitmart, everstrike, indodax"],
        ),
        ('[accounts.ix]\nexchange = "nowhere"', ["accounts.ix.exchange", "'nowhere'", "indodax"]),
        (ACCOUNT + f'auth = "{SECRET}"', ["accounts.ix", "auth", "use one of nonce, timestamp"]),
        (EVERSTRIKE + f'auth = "{SECRET}"', ["accounts.ev", "auth", "leave it out"]),
        (
            ACCOUNT + f'limits."{SECRET}" = {{max_requests = 1, window_ms = 1}}',
            ["accounts.ix", "unknown limit", "countdown, cancels"],
        ),
        (
            EVERSTRIKE + "limits.orders = {max_requests = 1, window_ms = 1}",
            ["accounts.ev", "unknown limit", "none"],
        ),
        (EVERSTRIKE + 'testnet = true\nbase_url = "https://h"', ["testnet or base_url, not both"]),
        (BITMART + "testnet = true", ["accounts.bm", "no test host", "base_url"]),
        (ACCOUNT + f'base_url = "http://{SECRET}.test"', ["accounts.ix.base_url", "use https://"]),
        (ACCOUNT + 'base_url = "http://127.0.0.1.evil.test"', ["base_url", "use https://"]),
        (ACCOUNT + f'base_url = "https://u:{SECRET}@host"', ["base_url", "no user or password"]),
        (ACCOUNT + f'base_url = "https://u:{SECRET}@ex\u2100m"', ["base_url", "https://host/path"]),
        (ACCOUNT + f'base_url = "https://[{SECRET}"', ["base_url", "https://host/path"]),
        (ACCOUNT + f'base_url = "https://host/?k={SECRET}"', ["base_url", "https://host/path"]),
        (ACCOUNT + 'base_url = "https://host:99999"', ["base_url", "https://host/path"]),
        (ACCOUNT + 'base_url = "https://host:abc"', ["base_url", "https://host/path"]),
        (ACCOUNT + 'base_url = "https://ho st/"', ["base_url", "https://host/path"]),
        (ACCOUNT + 'base_url = "https://host/a\\nb"', ["base_url", "https://host/path"]),
        (ACCOUNT + 'base_url = "ftp://host"', ["base_url", "https://host/path"]),
        (ACCOUNT + 'base_url = "https://"', ["base_url", "https://host/path"]),
        (ACCOUNT + f'egress_ip = "{SECRET}"', ["accounts.ix.egress_ip", "203.0.113.7"]),
        (
            "[jobs]\nlease_ms = 4400",
            ["jobs.lease_ms must exceed http.deadline_ms by 500 or more"],
        ),
        # Secrets that cannot be ones.
        (
            ACCOUNT + f'api_key = "k"\napi_secret = "{SECRET}\\n"',
            ["accounts.ix.api_secret", "bare secret"],
        ),
        (ACCOUNT + f'api_secret = "s"\napi_key = "{SECRET}\\u0000"', ["api_key", "bare secret"]),
        (
            ACCOUNT + f'api_secret = "{SECRET}"\napi_secret_file = "f"',
            ["accounts.ix", "api_secret or api_secret_file, not both"],
        ),
        (f'redis_url = "{SECRET}"\nredis_url_file = "f"', ["redis_url or redis_url_file, not bot"]),
        (f'sentry_dsn = "{SECRET}"\nsentry_dsn_file = "f"', ["sentry_dsn or sentry_dsn_file"]),
        # Aliases.
        ('[accounts."IX"]\nexchange = "indodax"', ["accounts.IX", "a-z, 0-9, _ and -"]),
        ('[accounts."a b"]\nexchange = "indodax"', ["accounts.a b", "a-z, 0-9, _ and -"]),
        ('[accounts."a\\nb"]\nexchange = "indodax"', ["a-z, 0-9, _ and -"]),
        ('[accounts."\\u001b[2J"]\nexchange = "indodax"', ["a-z, 0-9, _ and -"]),
        (f'[accounts."{"x" * 33}"]\nexchange = "indodax"', ["at most 32 characters"]),
        ('[accounts.""]\nexchange = "indodax"', ["a-z, 0-9, _ and -"]),
        # Broken files.
        (f"redis_url = {SECRET}", ["not valid TOML", "line 1"]),
        (f'redis_url = "{SECRET}', ["not valid TOML"]),
        (f'a = "{SECRET}"\na = "{SECRET}"', ["not valid TOML"]),
        (SECRET, ["not valid TOML"]),
    ],
)
def test_wrong_file_is_reported_in_one_line(place: Place, toml: str, words: list[str]) -> None:
    """The line names the file, the key and the fix, and never a value."""
    place.toml(toml)
    text = place.error()
    assert text.startswith(f"{FILE}: ")
    for word in words:
        assert word in text


def test_every_mistake_is_reported_at_once(place: Place) -> None:
    """One line each, from the file and the variables, with the setting that was meant."""
    place.toml('redis_ulr = "x"\n[accounts.ix]\nexchange = "indodaks"\n[jobs]\nlease_ms = "soon"\n')
    place.env(WORKER_SENTRY_DSM="x")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    lines = str(raised.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["environment", FILE, FILE, FILE]
    for words in (
        "did you mean WORKER_SENTRY_DSN?",
        "did you mean redis_url?",
        "did you mean indodax?",
        "jobs.lease_ms: give an integer of milliseconds, or a time such as 500ms, 30s or 2m",
    ):
        assert sum(words in line for line in lines) == 1, words


def test_named_file_is_named(place: Place) -> None:
    """The line names the file that is in force."""
    path = place.toml("nosuch = 1", "other.toml")
    place.env(WORKER_CONFIG=str(path))
    assert place.error().startswith(f"{path}: nosuch: unknown key")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'redis_url = "\xc3("', b"\x00\x00"])
def test_file_that_is_no_text_is_refused(place: Place, content: bytes) -> None:
    """A binary file is no settings file."""
    place.toml(content)
    assert place.error().startswith(f"{FILE}: not ")


@pytest.mark.parametrize("name", ["nosuch.toml", ".", "nosuch/deeper.toml", "a\nb.toml"])
def test_named_file_must_be_there(place: Place, name: str) -> None:
    """A path that leads nowhere, or to a folder, is not passed over."""
    place.env(WORKER_CONFIG=str(place.folder / name))
    text = place.error()
    assert "no such file" in text
    assert "WORKER_CONFIG" in text


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WORKER_REDIS", SECRET, ["is not a setting", "redis_url"]),
        ("WORKER_REDIS_ULR", SECRET, ["is not a setting", "redis_url"]),
        ("WORKER_", SECRET, ["is not a setting"]),
        ("WORKER_ACCOUNT__IX__API_KEY", SECRET, ["is not a setting", "accounts"]),
        ("WORKER_JOBS__LEASE", SECRET, ["jobs.lease", "unknown key", "lease_ms"]),
        ("WORKER_JOBS__LEASE_MS", SECRET, ["jobs.lease_ms", "integer"]),
        ("worker_jobs__lease_ms", SECRET, ["jobs.lease_ms", "integer"]),
        ("WORKER_REDIS_TIMEOUT_MS", SECRET, ["redis_timeout_ms", "integer"]),
        ("WORKER_ACCOUNTS", SECRET, ["accounts", "dictionary"]),
        ("WORKER_ACCOUNTS", f'["{SECRET}"]', ["accounts", "dictionary"]),
        ("WORKER_JOBS", SECRET, ["jobs", "dictionary"]),
        ("WORKER_HTTP", f'{{"a": "{SECRET}"', ["http", "dictionary"]),
        ("WORKER_ACCOUNTS__IX", SECRET, ["accounts.ix", "dictionary"]),
        ("WORKER_ACCOUNTS__IX__LIMITS", SECRET, ["accounts.ix.limits", "dictionary"]),
        ("WORKER_ACCOUNTS__IX__TESTNET", SECRET, ["accounts.ix.testnet", "boolean"]),
        ("WORKER_ACCOUNTS__IX__EXCHANGE", SECRET, ["accounts.ix.exchange", "use one of"]),
        ("WORKER_ACCOUNTS__IX__NOSUCH", SECRET, ["accounts.ix.nosuch", "unknown key", "api_key"]),
    ],
)
def test_wrong_variable_is_reported_in_one_line(
    place: Place, variable: str, value: str, words: list[str]
) -> None:
    """The line names the variable, the key and the fix, and never its value."""
    place.toml(ACCOUNT + KEYS)
    place.env(**{variable: value})
    text = place.error()
    assert text.startswith("environment: ")
    assert variable in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("name", ["api_key", "api_secret", "memo"])
def test_missing_secret_is_named_with_three_fixes(place: Place, name: str) -> None:
    """A worker says which secret it lacks, and every way to give it."""
    given = [f'{other} = "x"' for other in ("api_key", "api_secret", "memo") if other != name]
    place.toml(BITMART + "\n".join(given))
    text = place.error()
    for word in (f"accounts.bm.{name}", f"{name}_file", f"WORKER_ACCOUNTS__BM__{name.upper()}"):
        assert word in text


def test_empty_secret_is_a_missing_one(place: Place) -> None:
    """An empty text signs nothing."""
    place.toml(ACCOUNT + 'api_key = "k"\napi_secret = ""')
    assert "accounts.ix.api_secret is missing" in place.error()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (f"{SECRET}\n{SECRET}".encode(), "bare secret"),
        (f"{SECRET}\r{SECRET}".encode(), "bare secret"),
        (SECRET.encode() + b"\xff", "not UTF-8"),
        (SECRET.encode() + b"\x00\x01", "bare secret"),
        (SECRET.encode() * 2_000, "too large"),
        ("\u20ac".encode() * 6_000, "too large"),
    ],
)
def test_secret_file_that_holds_none_is_refused(
    place: Place, content: bytes | None, words: str
) -> None:
    """The line names the account, the key and the file, and shows nothing of it."""
    if content is not None:
        place.toml(content, "secret")
    place.toml(ACCOUNT + 'api_key = "k"\napi_secret_file = "secret"')
    text = place.error()
    assert text.startswith("accounts.ix.api_secret_file: secret ")
    assert words in text


def test_folder_is_no_secret_file(place: Place) -> None:
    """A folder, as a mount that failed leaves it, is named."""
    place.toml(ACCOUNT + f'api_key = "k"\napi_secret_file = "{place.folder}"')
    assert "accounts.ix.api_secret_file" in place.error()


@pytest.mark.parametrize("auth", ["nonce", "timestamp"])
@pytest.mark.parametrize(
    "more",
    ["", 'egress_ip = "127.0.0.2"\n', 'base_url = "https://btcapi.net/tapi"\n'],
)
def test_a_key_belongs_to_one_account(place: Place, auth: str, more: str) -> None:
    """Two aliases of one key would share timers, nonces and limits, and not know of it."""
    account = ACCOUNT.replace('"indodax"', f'"indodax"\nauth = "{auth}"')
    place.toml(account + KEYS + account.replace(".ix", ".other") + KEYS + more)
    with pytest.raises(SettingsError) as caught:
        build_sessions(place.load())
    text = str(caught.value)
    assert SECRET not in text
    assert "\n" not in text
    for word in ("accounts.other.api_key", "accounts.ix", "nonces", "remove one"):
        assert word in text


def test_a_key_on_a_test_host_is_another(place: Place) -> None:
    """What it reaches there is no account of production."""
    place.toml(ACCOUNT + KEYS + ACCOUNT.replace(".ix", ".other") + KEYS + "testnet = true\n")
    assert set(build_sessions(place.load())) == {"ix", "other"}


def test_shared_budget_is_seen_alike(place: Place) -> None:
    """Two accounts behind one address cannot have two opinions of its limit."""
    limit = "limits.countdown = { max_requests = 5, window_ms = 10000 }\n"
    timestamps = ACCOUNT.replace('"indodax"', '"indodax"\nauth = "timestamp"')
    other = timestamps.replace(".ix", ".other") + KEYS.replace(f"{SECRET}k", "another")
    place.toml(timestamps + KEYS + other + limit)
    with pytest.raises(
        SettingsError, match=r"accounts\.other\.limits\.countdown differs"
    ) as caught:
        build_sessions(place.load())
    assert "\n" not in str(caught.value)
    place.toml(timestamps + KEYS + other + limit + 'egress_ip = "127.0.0.2"\n')
    assert set(build_sessions(place.load())) == {"ix", "other"}


def test_worker_without_accounts_ends_with_an_error(place: Place) -> None:
    """A worker with nothing to serve does not start in silence."""
    with pytest.raises(SettingsError, match=r"no account is configured; add \[accounts.NAME\]"):
        build_dispatcher(place.load())


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"http://:{SECRET}@host",
        f"redis://:{SECRET}@[::1",
        f"redis://:{SECRET}@ho\u2100st/0",
        f"redis://:{SECRET}@host:port/0",
        f"redis://:{SECRET}@host:99999/0",
    ],
)
def test_redis_url_that_is_none_is_not_shown(url: str) -> None:
    """The line says what to give; the URL may hold a password."""
    with pytest.raises(SettingsError) as caught:
        connect(url, timeout_ms=100)
    text = str(caught.value)
    assert text.startswith("redis_url: ")
    assert SECRET not in text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_secret_is_known_to_the_mask(place: Place) -> None:
    """What must never be logged is listed whole."""
    place.toml(
        BITMART
        + 'api_key = "the-key"\napi_secret = "the-secret"\nmemo = "the-memo"\n'
        + ACCOUNT
        + 'api_key = "key-two"\napi_secret_file = "secret"\n'
    )
    place.toml("secret-of-a-file\n", "secret")
    place.env(WORKER_REDIS_URL="redis://user:password-1@h:1/0", WORKER_SENTRY_DSN="https://k@h/1")
    assert {
        "the-key",
        "the-secret",
        "the-memo",
        "key-two",
        "secret-of-a-file",
        "password-1",
        "https://k@h/1",
    } <= set(secrets_of(place.load()))


def test_a_secret_that_must_be_base64_is_checked_at_the_start(place: Place) -> None:
    """Nothing could be signed with it; the text shows no part of it."""
    place.toml('[accounts.kr]\nexchange = "kraken"\napi_key = "k"\napi_secret = "odd secret!"\n')
    with pytest.raises(SettingsError, match=r"accounts.kr.api_secret is not base64") as refused:
        place.load().access("kr")
    assert "odd" not in str(refused.value)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ('exchange = "indodax_v2"\nhash = "md"', "use one of sha256, sha512"),
        ('exchange = "indodax"\nhash = "sha256"', "hash is not offered by indodax; leave it out"),
        ('exchange = "indodax"\ntimers = "x"', "no other account holds timers for indodax"),
        ('exchange = "indodax_v2"\ntimers = "x"', "must be the alias of an account on indodax"),
    ],
)
def test_a_hash_or_an_account_for_timers_that_cannot_be_is_refused(
    place: Place, row: str, text: str
) -> None:
    """The text says what is offered."""
    place.toml(f"[accounts.a]\n{row}\n")
    with pytest.raises(SettingsError, match=text):
        place.load()
