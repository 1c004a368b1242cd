"""Any bytes as `worker.toml`, any values in the environment: settings, or one clear line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from tests.fuzz.target import Target
from worker.config.settings import PREFIX, load_settings
from worker.config.settings_file import CONFIG_VARIABLE
from worker.errors import SettingsError
from worker.factory import build_sessions, secrets_of

SECRET = b"Zk9-planted+secret.0123456789"
LINE_MAX = 600
VARIABLES = ("REDIS_URL", "KEY_PREFIX", "ACCOUNTS", "ACCOUNTS__IX__AUTH", "JOBS__LEASE_MS", "HTTP")
"""The first byte of an input chooses one, set to what follows a NUL; or none."""
FULL = b"""redis_url = "redis://u:%s@127.0.0.1:6379/0"
redis_timeout_ms = 800
key_prefix = "cx:"
sentry_dsn = "https://k@sentry.invalid/1"
[accounts.ix]
exchange = "indodax"
api_key = "%s"
api_secret = "%s"
auth = "nonce"
egress_ip = "203.0.113.7"
limits = { countdown = { max_requests = 10, window_ms = 10000 } }
[accounts.bm]
exchange = "bitmart"
base_url = "https://[::1]:8/x"
api_key = "k%s"
api_secret = "s"
memo_file = "secret.txt"
[jobs]
max_attempts = 3
lease_ms = 10000
[http]
deadline_ms = 4000
trust_env = false
[worker]
log_level = "DEBUG"
""".replace(b"%s", SECRET)
CORPUS = (
    b"\xff" + FULL,
    b"\xff" + b'[accounts.ev]\nexchange = "everstrike"\ntestnet = true\nbulk = true\n',
    b"\x00redis://h:1/2\0" + FULL,
    b'\x02{"ix": {"exchange": "indodax"}}\0' + FULL,
    b"\x03timestamp\0" + FULL,
)
WORDS = (
    *(b"[accounts.ix]\n", b"exchange = ", b"api_key_file = ", b"'''", b'"""', b"[[", b"]]", b"{ "),
    *(b"1979-05-27", b"true", b"inf", b"nan", b'"\\u0000"', b'"\\n"', b"http://", b"rediss://"),
    *(b"sentinel://", b"@", b":", b"[::1", b"\xc2\x85", b"\xe2\x80\xae", b"x" * 2_000, b"\x00"),
    *(b'memo_file = "/dev/zero"\n', b'api_key = "' + SECRET + b'"\n', b"= " + SECRET, b"__"),
)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, in a folder and an environment of its own."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("secret.txt").write_bytes(SECRET)
        path = Path("fuzzed.toml")
        os.environ[CONFIG_VARIABLE] = str(path)
        try:
            yield Target(lambda data: _check(data, path), CORPUS, WORDS, head=1)
        finally:
            del os.environ[CONFIG_VARIABLE]
            os.environ.update(kept)


def _check(data: bytes, path: Path) -> None:
    number, text = data[:1], data[1:]
    name = ""
    if number and number[0] < len(VARIABLES):
        value, _, text = text.partition(b"\0")
        name = PREFIX + VARIABLES[number[0]]
        os.environ[name] = os.fsdecode(value.replace(b"\0", b""))
    path.write_bytes(text)
    try:
        settings = load_settings()
        for account in settings.accounts.values():
            assert account.url.lower().startswith(("https://", "http://"))
        build_sessions(settings)
        secrets_of(settings)
    except SettingsError as error:
        lines = str(error).splitlines()
        assert lines
        for line in lines:  # one for each mistake
            assert line
            assert len(line) < LINE_MAX, line
            assert line.isprintable(), repr(line)
            assert SECRET.decode() not in line
    else:
        assert SECRET.decode() not in repr(settings)
    finally:
        os.environ.pop(name, None)
