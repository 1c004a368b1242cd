"""The runtime of a worker process, built on first use."""

from __future__ import annotations

import logging
import os
import threading

from worker.config.aliases import announced_exchange
from worker.config.settings import Settings, load_settings
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.shutdown import Shutdown
from worker.errors import StoreUnavailable
from worker.exchanges.base import Exchange
from worker.factory import build_dispatcher, secrets_of
from worker.store.ledger import Ledger
from worker.store.opening import build_store
from worker.store.switches import Switches
from worker.telemetry import metrics
from worker.telemetry.alerts import alert
from worker.telemetry.logs import Mask

log = logging.getLogger(__name__)

REASON_MAX = 300
RAW_MAX = 2_000
"""Maximum characters of a malformed message in its dead letter."""


class Runtime:
    """Settings, dispatcher, ledger and switches of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dispatcher: Dispatcher = build_dispatcher(settings)
        self.shutdown = Shutdown(
            self.dispatcher,
            bound_ms=settings.worker.shutdown_ms,
            reserve_ms=settings.redis_timeout_ms,
        )
        store = build_store(settings)
        self.ledger = Ledger(store)
        self.switches = Switches(store)
        self.pid = os.getpid()
        self.mask = Mask(secrets_of(settings))

    def exchange(self, alias: str) -> Exchange:
        """Return the exchange of an account, from the settings or from other workers.

        Raises:
            UnknownAccount: No worker has registered this alias, or workers registered
                it on different exchanges.
            StoreUnavailable: Redis did not answer.
        """
        account = self.settings.accounts.get(alias)
        if account is not None:
            return account.adapter
        announced = self.ledger.accounts()
        return announced_exchange(alias, announced, self.settings.accounts)

    def bury(
        self, reason: str, raw: str, *, error: BaseException | None = None, job_id: str = ""
    ) -> None:
        """Record a message that cannot become a job as a dead letter, and raise an alert.

        With `error`, our own code failed to process it. If Redis is down, the message
        is only in the log and the alert.
        """
        kept = self.mask(raw)[:RAW_MAX]
        reason = self.mask(reason)[:REASON_MAX]
        try:
            job_id = self.ledger.bury(reason=reason, raw=kept, job_id=job_id)
        except StoreUnavailable:
            log.critical("malformed message not recorded: %s: %s", reason, kept)
            job_id = ""
        metrics.buried()
        if error is None:
            alert("malformed message", f"malformed message: {reason}", job=job_id)
        else:
            alert("task failed", f"task failed: {reason}", error, job=job_id)


def shown(task: object, args: object, kwargs: object) -> str:
    """Return a task and its arguments as text, for any arguments."""
    try:
        return f"{task} {args!r} {kwargs!r}"
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        return f"{task}, arguments cannot be shown"


def saturated() -> frozenset[str]:
    """Return the queues whose doorbells this process leaves to others; see `Dispatcher`.

    None in a process that only shows queues, as Flower does.
    """
    return frozenset() if _runtime is None else _runtime.dispatcher.saturated


# Reentrant: a signal handler may call `runtime` while the main thread does.
_lock = threading.RLock()
_runtime: Runtime | None = None


def runtime() -> Runtime:
    """Return the runtime of this process; a forked child builds its own.

    Raises:
        SettingsError: The settings are wrong, or a secret is missing.
    """
    global _runtime  # noqa: PLW0603  one per process
    with _lock:
        if _runtime is None or _runtime.pid != os.getpid():
            _runtime = Runtime(load_settings())
        return _runtime
