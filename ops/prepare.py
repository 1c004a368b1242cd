#!/usr/bin/env python3
"""Create what docker-compose.yml needs: passwords, Redis users, data folders, .env.

Needs only Python. Keeps existing files, so it can be run again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import secrets
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ACL = TOP / "ops" / "redis" / "users.acl"
PLACE = re.compile(r"@([A-Z]+)@")
DATA = ("redis", "prometheus", "alertmanager", "grafana")
IMAGE_USER = 10_001
"""User id of the containers if root runs this script; never root."""
SIMULATED = ("COMPOSE_PROJECT_NAME=cancel-worker-simulated", "COMPOSE_PROFILES=simulator")
WRITTEN = "# Written by ops/prepare.py"
MARK = f"{WRITTEN}; values may be changed."


def main() -> int:
    """Create missing files; print where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulator", action="store_true", help="simulated exchanges")
    parser.add_argument("--folder", type=Path, help="folder of secrets and data (./deploy)")
    parser.add_argument("--env-file", type=Path, default=TOP / ".env", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Separate folders: real jobs must never reach simulated exchanges.
    default = TOP / ("deploy-simulated" if options.simulator else "deploy")
    home: Path = (options.folder or default).resolve()
    try:
        if not _write_env(options.env_file, home, simulated=options.simulator):
            sys.stderr.write(f"{options.env_file} is not from this script; move it elsewhere\n")
            return 1
        _fill(home, simulated=options.simulator)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 1
    sys.stdout.write(
        f"accounts    {home / 'secrets' / 'worker.toml'}\n"
        f"strategies  export WORKER_REDIS_URL_FILE={home / 'secrets' / 'redis_url_producer'}\n"
        f"alerts      {home / 'secrets' / 'alertmanager.yml'}\n"
        f"notices     {home / 'secrets' / 'notify_urls'}\n"
        "page        http://127.0.0.1:9480, "
        "docker compose run --rm web cancel-worker token create ME\n"
        f"flower      http://127.0.0.1:5555, {home / 'secrets' / 'flower_login'}\n"
        f"grafana     http://127.0.0.1:3000, admin, {home / 'secrets' / 'grafana_password'}\n"
        f"next        {'' if options.simulator else 'your accounts, then '}"
        "docker compose up --build --detach --wait\n"
    )
    return 0


def _fill(home: Path, *, simulated: bool) -> None:
    folder = home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    template = ACL.read_text(encoding="utf-8")
    for user in sorted({name.lower() for name in PLACE.findall(template)}):
        password = _keep(folder / f"redis_password_{user}", secrets.token_urlsafe(32))
        host = "127.0.0.1" if user == "producer" else "redis"
        _keep(folder / f"redis_url_{user}", f"redis://{user}:{password}@{host}:6379/0")

    def digest(match: re.Match[str]) -> str:
        text = _read(folder / f"redis_password_{match[1].lower()}")
        return hashlib.sha256(text.encode()).hexdigest()

    _write(folder / "users.acl", PLACE.sub(digest, template))
    _keep(folder / "flower_login", f"operator:{secrets.token_urlsafe(24)}")
    _keep(folder / "grafana_password", secrets.token_urlsafe(24))
    accounts = TOP / "ops" / "compose" / ("simulated.toml" if simulated else "worker.toml")
    _keep(folder / "worker.toml", accounts.read_text(encoding="utf-8"))
    for name in ("alertmanager.yml", "notify_urls"):
        path = TOP / "ops" / "compose" / name
        _keep(folder / name, path.read_text(encoding="utf-8"))
    for name in DATA:
        (home / "data" / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.getuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, IMAGE_USER, IMAGE_USER)


def _keep(path: Path, text: str) -> str:
    """Write a file unless it exists; return its content."""
    if not path.exists():
        _write(path, text)
    return _read(path)


def _read(path: Path) -> str:
    """Return the content of a file, without a byte order mark or surrounding whitespace."""
    return path.read_text(encoding="utf-8-sig").strip()


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _write_env(path: Path, home: Path, *, simulated: bool) -> bool:
    """Point compose at `home`; return false if the file is not from this script."""
    if path.exists() and not path.read_text(encoding="utf-8").startswith(WRITTEN):
        return False
    user, group = os.getuid() or IMAGE_USER, os.getgid() or IMAGE_USER
    lines = [MARK, f"CANCEL_WORKER_HOME={home}", f"CANCEL_WORKER_USER={user}:{group}"]
    if simulated:
        lines += SIMULATED
    ours = {line.partition("=")[0] for line in (*lines, *SIMULATED)}
    kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines += [
        line for line in kept if line.partition("=")[0] not in ours and not line.startswith(WRITTEN)
    ]
    _write(path, "\n".join(lines) + "\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
