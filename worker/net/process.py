"""The name of this process, unique across hosts and restarts."""

from __future__ import annotations

import os
import socket


def process_name() -> str:
    """Return `host:pid:random`: a new name on each call, for one holder of leases or locks."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"
