"""Celery messages as they lie in Redis, written by the script that records jobs.

Ringing in the same step as recording makes a job one round trip, and leaves no
moment at which a job is recorded but its bell cannot be rung. The shape is
Celery's message protocol 2 inside kombu's virtual transport envelope;
`tests/integration/test_doorbell.py` holds it against Celery's own.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Mapping, Sequence
from uuid import UUID

from worker import clock
from worker.model.names import key_name

BELL = "bell"
"""Header of a message that only wakes: what it is about is in Redis."""
PRIORITY_STEP = "\x06\x16"
URGENT = 0
LATER = 9
PRIORITIES = (URGENT, LATER)
PLAIN_PRIORITIES = (0, 3, 6, 9)
"""Stock Celery's steps: a client's priorities 0 to 9 end in one of these lists."""
_ORIGIN = f"{os.getpid()}@{socket.gethostname()}"
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def queue_key(queue: str, priority: int = URGENT) -> str:
    """Return the list that kombu reads for a queue and priority, without the key prefix."""
    return f"{queue}{PRIORITY_STEP}{priority}" if priority else queue


def ring(
    task: str,
    kwargs: Mapping[str, object],
    *,
    queue: str,
    args: Sequence[object] = (),
    priority: int = URGENT,
    task_id: str = "",
) -> tuple[str, str]:
    """Return the list, without the key prefix, and the message that has a worker run `task`."""
    queue = key_name(queue)
    task_id = task_id or str(UUID(bytes=os.urandom(16), version=4))
    body = json.dumps([list(args), dict(kwargs), _EMBED], separators=(",", ":")).encode()
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "shadow": None,
            "group": None,
            "group_index": None,
            "argsrepr": repr(tuple(args)),
            "kwargsrepr": repr(dict(kwargs)),
            "origin": _ORIGIN,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
            "sent_ms": clock.now_ms(),
            BELL: 1,
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority,
            "body_encoding": "base64",
            "delivery_tag": task_id,
        },
    }
    return queue_key(queue, priority), json.dumps(message, separators=(",", ":"))
