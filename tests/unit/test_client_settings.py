"""A strategy's settings are read without pydantic, and never otherwise than by `load_settings`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as runs
from hypothesis import strategies as st

from worker.cli.errors import FAILED, MISUSED, explain
from worker.config.client_settings import (
    INTEGERS,
    ClientSettings,
    load_client_settings,
)
from worker.config.settings import Settings, load_settings
from worker.errors import SettingsError
from worker.exchanges import EXCHANGES, NEED_MORE

PLAIN = """
redis_url = "redis://10.0.0.1:6379/3"
redis_timeout_ms = 700
key_prefix = "x:"
[accounts.ix]
exchange = "indodax"
api_key = "k"
api_secret_file = "/run/secrets/ix"
[switches]
min_timeout_ms = 2000
transit_ms = 250
[jobs]
retention_ms = 1000
"""
HEAVY = (
    "pydantic",
    "rich",
    "celery",
    "requests",
    "httpx",
    "worker.store.tokens",
    "sentry_sdk",
    "tenacity",
)
LOADED = f"print([name for name in {HEAVY!r} if name in sys.modules])"
SIMULATED = """
redis_url = "redis://127.0.0.1:1/0"
[accounts.bu]
exchange = "binanceusdm"
base_url = "http://127.0.0.1:36969/binanceusdm"
api_key = "k"
[accounts.ix]
exchange = "indodax"
[accounts.ix2]
exchange = "indodax_v2"
timers = "ix"
[accounts.by]
exchange = "bybit"
category = "linear"
[metrics]
port = 0
[web]
host = "127.0.0.1"
[notify]
urls_file = "/run/secrets/notify"
"""

NUMBERS = st.one_of(st.integers(-5, 5), st.integers(90, 3_000), st.booleans(), st.text(max_size=3))
TEXTS = st.sampled_from(
    ["cx:", "", "a b", "redis://h:1/0", "everstrike", "indodax", "nowhere", "é"]
)
TABLES = {
    name: st.dictionaries(st.sampled_from([*keys, "other"]), NUMBERS)
    for name, keys in INTEGERS.items()
    if name
}
URLS = st.sampled_from(
    [
        "https://h.example/v1",
        "http://127.0.0.1:8080/x",
        "http://h.example",
        "https://h:0",
        "https://h:70000",
        "https://u@h",
        "",
    ]
)
OF_EXCHANGE = st.sampled_from(["", "spot", "linear", "ix", "ev", "sha256", "nosuch"])
ACCOUNT = st.fixed_dictionaries(
    {"exchange": st.sampled_from(["everstrike", "indodax", "indodax_v2", "bybit", "ccxt:nosuch"])},
    optional={
        **dict.fromkeys(["api_key", "api_key_file", "memo", "bulk"], TEXTS),
        **dict.fromkeys(["auth", "category", "timers"], OF_EXCHANGE),
        "base_url": URLS,
    },
)
SERVED = {
    "metrics": st.dictionaries(st.sampled_from(["port", "beat_port", "host", "x"]), NUMBERS),
    "web": st.dictionaries(st.sampled_from(["port", "host"]), st.one_of(NUMBERS, TEXTS)),
    "notify": st.dictionaries(st.sampled_from(["urls_file", "urls"]), TEXTS),
}
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "redis_url": TEXTS,
        "redis_url_file": TEXTS,
        "key_prefix": TEXTS,
        "redis_timeout_ms": NUMBERS,
        "redis_wait_replicas": NUMBERS,
        "accounts": st.dictionaries(
            st.sampled_from(["ev", "ix", "Ev", "a-1", ""]), ACCOUNT, max_size=2
        ),
        **TABLES,
        **SERVED,
    },
)


def toml_of(document: dict[str, Any], path: str = "") -> str:
    """Return a document as TOML."""
    plain = [
        f"{json.dumps(key)} = {json.dumps(value)}"
        for key, value in document.items()
        if not isinstance(value, dict)
    ]
    tables = [
        toml_of(value, f"{path}.{json.dumps(key)}".lstrip("."))
        for key, value in document.items()
        if isinstance(value, dict)
    ]
    return "\n".join([f"[{path}]" if path else "", *plain, *tables])


def read(load: Any) -> tuple[Any, ...] | str:
    """Return what a producer reads of the settings, or the error's text."""
    try:
        found = load()
    except SettingsError as error:
        return str(error)
    accounts = {
        alias: (each.adapter, each.uses_nonce, each.limits_in_force, each.timers)
        for alias, each in found.accounts.items()
    }
    bounds = found.switches
    return (
        found.redis_url_file or found.redis_address,
        found.redis_timeout_ms,
        (found.redis_wait_replicas, found.redis_wait_ms),
        found.key_prefix,
        accounts,
        (bounds.min_timeout_ms, bounds.max_timeout_ms, bounds.transit_ms),
        found.jobs.retention_ms,
    )


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "worker.toml"


@runs(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(tree=DOCUMENTS)
def test_both_readers_agree(
    tree: dict[str, Any], document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the file holds, a producer gets the same values or the same error text."""
    monkeypatch.setenv("WORKER_CONFIG", str(document))
    document.write_text(toml_of(tree), encoding="utf-8")
    assert read(load_client_settings) == read(load_settings)


def test_smallest_values_are_those_of_the_settings() -> None:
    """The table of whole numbers repeats the bounds of the settings."""
    for table, keys in INTEGERS.items():
        model = get_args(Settings.model_fields[table].annotation) if table else ()
        fields = (
            Settings.model_fields[table].annotation.model_fields  # type: ignore[union-attr]
            if table
            else Settings.model_fields
        )
        assert not model
        for key, least in keys.items():
            bounds = {type(each).__name__: each for each in fields[key].metadata}
            smallest = bounds["Ge"].ge if "Ge" in bounds else bounds["Gt"].gt + 1
            assert (key, smallest, len(bounds)) == (key, least, 1)


@pytest.mark.parametrize(
    ("variable", "value", "plain"),
    [
        ("WORKER_REDIS_URL", "redis://10.0.0.2:6379/0", True),
        ("WORKER_KEY_PREFIX", "y:", True),
        ("WORKER_REDIS_TIMEOUT_MS", "900", False),
        ("worker_redis_url", "redis://10.0.0.2:6379/0", False),
    ],
)
def test_environment_comes_first(
    variable: str,
    value: str,
    plain: bool,  # noqa: FBT001
    document: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment overrides the file, whichever reader reads it."""
    document.write_text(PLAIN, encoding="utf-8")
    monkeypatch.setenv("WORKER_CONFIG", str(document))
    monkeypatch.setenv(variable, value)
    found = load_client_settings()
    assert isinstance(found, ClientSettings) is plain
    assert read(load_client_settings) == read(load_settings)
    assert value in map(str, read(load_client_settings))


def last_line(code: str, config: Path) -> str:
    """Run code in a new process, with these settings; return the last line that it printed."""
    return lines_of(code, config)[-1]


def lines_of(code: str, config: Path) -> list[str]:
    """Run code in a new process, with these settings; return the lines that it printed."""
    environment = {name: value for name, value in os.environ.items() if "WORKER" not in name}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        env={**environment, "WORKER_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("text", [PLAIN, SIMULATED])
def test_settings_as_people_write_them_are_plain(
    text: str, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts at other addresses, with timers and categories, and what is served, need no more."""
    document.write_text(text, encoding="utf-8")
    monkeypatch.setenv("WORKER_CONFIG", str(document))
    assert isinstance(load_client_settings(), ClientSettings)
    assert read(load_client_settings) == read(load_settings)


def test_exchanges_that_need_more_than_keys_are_listed() -> None:
    """The list, which spares a strategy the import of every adapter, is complete."""
    needy = {
        name
        for name, exchange in EXCHANGES.items()
        if exchange.capabilities.categories or exchange.capabilities.unproven
    }
    assert needy == NEED_MORE


@pytest.mark.parametrize(
    ("words", "of_commands"),
    [
        (["cancel", "ev", "1"], "cancel cancel_direct panic"),
        (["jobs", "--limit", "3", "--state", "done", "--newer-than", "2h"], "jobs"),
        (["switches", "--account", "ix"], "switches"),
        (["--version"], ""),
    ],
)
def test_a_command_imports_its_own_module(
    words: list[str], of_commands: str, document: Path
) -> None:
    """A command imports no other command, and nothing that only workers need."""
    document.write_text(SIMULATED, encoding="utf-8")
    code = (
        f"from worker.cli import main\nmain({words!r})\n{LOADED}\n"
        "print('redis' in sys.modules)\n"
        "print(*sorted(name.removeprefix('worker.cli.commands.') for name in sys.modules "
        "if name.startswith('worker.cli.commands.') or name in "
        "('worker.cli.up', 'worker.cli.demo', 'worker.cli.check')))"
    )
    needs_redis = str(words != ["--version"])
    assert lines_of(code, document)[-3:] == ["[]", needs_redis, of_commands]


def test_commands_that_read_or_enqueue_import_little(document: Path) -> None:
    """Neither pydantic nor what workers need is imported to enqueue and to read."""
    document.write_text(SIMULATED, encoding="utf-8")
    commands = "\n".join(
        f"main({words!r})"
        for words in (
            ["cancel-all", "ix", "--yes", "--hold", "60s"],
            ["panic", "--yes", "--wait", "1"],
            ["arm", "ix", "--pair", "a_b", "--timeout", "30s"],
            ["beat", "0123456789"],
            ["disarm", "0123456789"],
            ["show", "0123456789"],
            ["dead", "list"],
            ["status"],
        )
    )
    assert last_line(f"from worker.cli import main\n{commands}\n{LOADED}", document) == "[]"


def test_a_producer_imports_little(document: Path) -> None:
    """Neither pydantic nor what workers need is imported to enqueue."""
    document.write_text(PLAIN, encoding="utf-8")
    code = f"from worker import Producer; Producer()\n{LOADED}"
    assert last_line(code, document) == "[]"


def test_what_needs_an_extra_names_it(document: Path) -> None:
    """Without `[worker]`, a direct cancel is one line that says what to install."""
    document.write_text(PLAIN, encoding="utf-8")
    code = """
sys.modules["requests"] = sys.modules["sentry_sdk"] = None
import worker
try:
    worker.Producer().cancel_direct("ix", "1", pair="a_b")
except worker.ExtraMissing as error:
    print(error)
"""
    need = r"a direct cancel needs \w+; install it: pip install 'cancel-worker\[worker\]'"
    assert re.fullmatch(need, last_line(code, document))
    command = "this command needs celery; install it: pip install 'cancel-worker[worker]'"
    assert explain(ModuleNotFoundError(name="celery.app")) == (command, MISUSED)
    assert explain(ModuleNotFoundError(name="elsewhere"))[1] == FAILED
