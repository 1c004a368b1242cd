"""Flower's configuration: it requires a login and is read-only.

`celery -A worker.celery_app flower` reads this file unless `FLOWER_CONF` names another.
Command-line options and `FLOWER_…` variables override it. The login is `name:password`,
in the file that `FLOWER_BASIC_AUTH_FILE` names, in `FLOWER_BASIC_AUTH`, or in
`--basic_auth`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import flower.views
from kombu.transport import redis as kombu_redis
from tornado.options import options

from worker.celery_app import app
from worker.flower_queues import Queues
from worker.messaging import qos

LOGIN_FILE = "FLOWER_BASIC_AUTH_FILE"
SHORTEST_PASSWORD = 8
FIX = f"put name:password into a file and its path into {LOGIN_FILE}"


def _refuse(reason: str) -> None:
    sys.stderr.write(f"flower: {reason}\n")
    sys.exit(2)


def _logins() -> list[str]:
    path = os.environ.get(LOGIN_FILE)
    if not path:
        return list(options.basic_auth or [])
    try:
        return [Path(path).read_text(encoding="utf-8-sig").strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        _refuse(f"{LOGIN_FILE}: {path}: cannot be read: {reason}; {FIX}")
        return []


basic_auth = _logins()
if not basic_auth and not options.auth:
    _refuse(f"a login is required; {FIX}, or --basic_auth=name:password")
for login in basic_auth:
    name, _, password = login.partition(":")
    if not name or len(password) < SHORTEST_PASSWORD:
        _refuse(
            f"a login is name:password, the password of {SHORTEST_PASSWORD} characters or more; "
            f"{FIX}"
        )

if "FLOWER_READ_ONLY" not in os.environ:
    read_only = True
if "FLOWER_ADDRESS" not in os.environ:
    address = "127.0.0.1"
if "FLOWER_TASKS_COLUMNS" not in os.environ:
    tasks_columns = "name,uuid,state,kwargs,received,runtime,worker"

# Flower consumes no queue, so kombu's own transport suffices. It cannot use several
# Sentinels or a socket path: keep ours for those.
if not str(app.conf.broker_url).startswith(("sentinel:", "unix:")):
    app.conf.broker_transport = None
flower.views.Broker = Queues


def _restore_nothing(*_: object, **__: object) -> None:
    """Leave the messages of dead workers to other workers.

    kombu restores them in every process that reads a queue, and Flower reads the one of
    its replies. Its Redis user has no rights to it, so each inspection would fail.
    """


for kept in (kombu_redis.QoS, qos.QoS):
    kept.restore_visible = _restore_nothing  # type: ignore[method-assign]
