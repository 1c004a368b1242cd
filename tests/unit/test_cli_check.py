"""What `check` finds, without any Redis."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from worker.cli import main
from worker.cli.check.findings import Level
from worker.cli.check.redis import judge, judge_replicas
from worker.store.durability import RedisFacts
from worker.store.embedded import own_port

KEY, SECRET = "planted-key-0123456789", "planted-secret-0123456789"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file in an empty folder; no Redis answers."""
    for name in [name for name in os.environ if name.startswith("WORKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKER_REDIS_URL", f"redis://127.0.0.1:{own_port()}/0")
    return tmp_path / "worker.toml"


def write(path: Path, *, key: str = KEY, secret: str = SECRET, mode: int = 0o600) -> None:
    """Write settings with one account."""
    lines = ["[accounts.ev]", 'exchange = "everstrike"']
    lines += [f"api_key = {json.dumps(key)}", f"api_secret = {json.dumps(secret)}"]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(mode)


def findings(
    capsys: pytest.CaptureFixture[str], *, code: int = 1
) -> dict[str, tuple[str, str, str]]:
    """Run `check --json`; return level, detail and fix of each subject."""
    assert main(["check", "--json"]) == code
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    assert KEY not in told.out + told.err
    document = json.loads(told.out)
    assert document["ok"] is (code == 0)
    return {
        row["subject"]: (row["level"], row["detail"], row["mend"]) for row in document["findings"]
    }


def test_redis_away_fails(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All else is looked at nevertheless."""
    write(settings)
    found = findings(capsys)
    assert found["redis"][0] == "fail"
    assert found["redis"][2] == "start it, or correct redis_url"
    assert found["settings"] == ("ok", "worker.toml is valid", "")
    assert found["accounts.ev"][0] == "ok"
    assert found["accounts.ev"][1].endswith("api_key, api_secret present")


def test_without_settings_it_says_so(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A producer may work without; a worker needs an account."""
    assert not settings.exists()
    found = findings(capsys)
    assert found["settings"][0] == "warn"
    assert found["accounts"][0] == "warn"


@pytest.mark.parametrize(
    ("planted", "subject", "words"),
    [
        ((f'"{KEY}"', SECRET), "accounts.ev.api_key", "quotes"),
        ((KEY, f"{SECRET} {SECRET}"), "accounts.ev.api_secret", "spaces"),
        ((KEY, "sëcret-0123456789"), "accounts.ev.api_secret", "no key has"),
        (("your-api-key", SECRET), "accounts.ev.api_key", "placeholder"),
        ((KEY, "…"), "accounts.ev.api_secret", "no key has"),
        ((KEY, "..."), "accounts.ev.api_secret", "placeholder"),
        ((KEY, KEY), "accounts.ev", "are the same"),
    ],
)
def test_secrets_that_cannot_be_are_found(
    settings: Path,
    capsys: pytest.CaptureFixture[str],
    planted: tuple[str, str],
    subject: str,
    words: str,
) -> None:
    """By their shape alone; they are never shown."""
    write(settings, key=planted[0], secret=planted[1])
    level, detail, mend = findings(capsys)[subject]
    assert level == "fail"
    assert words in detail
    assert "again" in mend


def test_a_short_secret_is_a_warning(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be cut off."""
    write(settings, key="k1")
    assert findings(capsys)["accounts.ev.api_key"][0] == "warn"


def test_an_exchange_that_has_closed_is_warned_of(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account on it still loads."""
    write(settings)
    level, detail, mend = findings(capsys)["accounts.ev.exchange"]
    assert (level, detail) == ("warn", "the exchange has not been seen alive since 2025-01")
    assert mend == "remove the account if it holds no orders"


def test_the_account_that_holds_the_timers_is_named(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And must be one of the exchange that has them."""
    keys = f'api_key = "{KEY}"\napi_secret = "{SECRET}"\n'
    v2 = f'[accounts.i2]\nexchange = "indodax_v2"\ntimers = "ix"\nhash = "sha512"\n{keys}'
    settings.write_text(f'[accounts.ix]\nexchange = "indodax"\n{keys}{v2}')
    settings.chmod(0o600)
    assert "ix holds its switches on pairs" in findings(capsys)["accounts.i2"][1]
    settings.write_text(v2)
    level, detail, _ = findings(capsys, code=2)["settings"]
    assert level == "fail"
    assert "accounts.i2.timers must be the alias of an account on indodax" in detail


def test_files_that_others_may_read_are_warned_of(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that fixes it."""
    write(settings, mode=0o644)
    assert findings(capsys)["worker.toml"][2] == "chmod 600 worker.toml"
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o604)
    settings.write_text(
        '[accounts.ev]\nexchange = "everstrike"\n'
        f'api_key_file = "{secret}"\napi_secret_file = "{tmp_path / "other"}"\n'
    )
    (tmp_path / "other").write_text(SECRET + "x")
    (tmp_path / "other").chmod(0o640)
    found = findings(capsys)
    assert found[str(secret)][2] == f"chmod 600 {secret}"
    assert "worker.toml" not in found
    assert found[str(tmp_path / "other")][0] == "warn"
    (tmp_path / "other").chmod(0o600)
    assert str(tmp_path / "other") not in findings(capsys)


@pytest.mark.parametrize(
    ("trusts", "variable", "value", "warned"),
    [
        ("true", "https_proxy", f"http://user:{SECRET}@proxy.test:3128", True),
        ("true", "all_proxy", "socks5://proxy.test:1080", True),
        ("true", "http_proxy", "http://proxy.test:3128", False),
        ("false", "https_proxy", "http://proxy.test:3128", False),
    ],
)
def test_a_proxy_on_the_way_is_warned_of(  # noqa: PLR0917  pytest gives them by name
    settings: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trusts: str,
    variable: str,
    value: str,
    warned: bool,  # noqa: FBT001
) -> None:
    """It may forward a request after its deadline; its address may hold a password."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("WORKER_HTTP__TRUST_ENV", trusts)
    write(settings)
    found = findings(capsys)
    assert ("accounts.ev.base_url" in found) is warned
    if warned:
        assert "may still arrive" in found["accounts.ev.base_url"][1]


def test_a_system_that_cannot_drop_requests_is_warned_of(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """MacOS, say: the rest works there."""
    write(settings)
    assert "system" not in findings(capsys)
    monkeypatch.setattr("worker.cli.check.settings.USER_TIMEOUT", None)
    assert "run workers on Linux" in findings(capsys)["system"][2]


def test_a_key_in_nonce_mode_belongs_to_one_account(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two accounts on one such key are a mistake in the settings."""
    table = f'exchange = "indodax"\nauth = "nonce"\napi_key = "{KEY}"\napi_secret = "{SECRET}"\n'
    settings.write_text(f"[accounts.a]\n{table}[accounts.b]\n{table}")
    found = findings(capsys, code=2)
    assert found["accounts"][0] == "fail"
    assert "that of accounts.a" in found["accounts"][1]


def test_a_broken_settings_file_is_the_only_finding(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the document and as one line on standard error."""
    settings.write_text(f'api_secret = "{SECRET}"\n')
    assert main(["check", "--json"]) == 2
    told = capsys.readouterr()
    (finding,) = json.loads(told.out)["findings"]
    assert finding["level"] == "fail"
    assert finding["detail"] in told.err
    assert "unknown key" in finding["detail"]
    assert SECRET not in told.out + told.err


GOOD = RedisFacts(
    version="7.2.4",
    appendonly=True,
    maxmemory_policy="noeviction",
    maxmemory=0,
    replica=False,
    cluster=False,
)
LRU = replace(GOOD, maxmemory_policy="allkeys-lru")


@pytest.mark.parametrize(
    ("facts", "level", "subject"),
    [
        (replace(GOOD, version="6.0.16"), Level.FAIL, "redis version"),
        (replace(GOOD, appendonly=False), Level.FAIL, "redis appendonly"),
        (replace(LRU, maxmemory=1_000), Level.FAIL, "redis maxmemory-policy"),
        (LRU, Level.WARN, "redis maxmemory-policy"),
        (replace(GOOD, replica=True), Level.FAIL, "redis role"),
        (replace(GOOD, cluster=True), Level.FAIL, "redis cluster"),
        (replace(GOOD, writes_fail=True), Level.FAIL, "redis appendonly"),
        (replace(GOOD, appendfsync="no"), Level.FAIL, "redis appendfsync"),
        (replace(GOOD, appendonly=None), Level.WARN, "redis appendonly"),
        (replace(GOOD, maxmemory_policy=None), Level.WARN, "redis maxmemory-policy"),
    ],
)
def test_a_redis_that_would_lose_jobs_is_found(
    facts: RedisFacts, level: Level, subject: str
) -> None:
    """Each with its fix; the rest is fine."""
    (bad,) = [finding for finding in judge(facts) if finding.level is not Level.OK]
    assert (bad.level, bad.subject) == (level, subject)
    assert bad.fix


def test_a_redis_that_is_fit_is_all_ok() -> None:
    """Nothing to fix."""
    assert {finding.level for finding in judge(GOOD)} == {Level.OK}


@pytest.mark.parametrize(
    ("here", "level"), [(None, Level.WARN), (1, Level.FAIL), (2, Level.WARN), (3, Level.OK)]
)
def test_replicas_that_calls_wait_for_are_counted(here: int | None, level: Level) -> None:
    """With none to spare, the loss of one makes every call fail."""
    finding = judge_replicas(replace(GOOD, replicas=here), wanted=2)
    assert (finding.subject, finding.level) == ("redis replicas", level)


@pytest.mark.parametrize(
    ("told", "said"), [("always", "always"), ("everysec", "everysec"), (None, "not be checked")]
)
def test_what_a_power_loss_costs_is_reported(told: str | None, said: str) -> None:
    """Or that this user may not ask."""
    found = {finding.subject: finding for finding in judge(replace(GOOD, appendfsync=told))}
    assert said in found["redis appendfsync"].detail
    assert found["redis appendfsync"].level is Level.OK
