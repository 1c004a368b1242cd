"""The Celery application: `celery -A worker.celery_app worker | beat | flower`.

It needs no command-line flags: all options come from the settings.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.worker import state
from kombu import Exchange, Queue

from worker.config import secret_files
from worker.config.settings import Settings, load_settings
from worker.dispatch.concurrency import PREFETCHED
from worker.errors import ExtraMissing, SettingsError
from worker.factory import secrets_of, serve_health
from worker.messaging.deferred import Deferred
from worker.messaging.runtime import runtime, shown
from worker.model.messages import CANCEL, COUNTDOWN, TICK
from worker.model.names import key_name
from worker.notify.notifier import Notifier
from worker.store.address import parse
from worker.store.doorbell import BELL, LATER, PRIORITIES, queue_key
from worker.store.sentinels import Sentinels
from worker.telemetry import health, logs, metrics, sentry

DEFAULT_QUEUE = "celery"
"""Celery's default queue, for plain messages. Each exchange has a queue of its own too."""
FORMER_QUEUES = ("bitmart", "everstrike", "indodax")
"""Queues in whose lists without the key prefix older versions left messages."""
FOREIGN_PREFIX = "CELERY_"
DEFAULT_PREFIX = Settings.model_fields["key_prefix"].default
VISIBILITY_S = 60
TICK_S = 1.0


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        sys.exit(_fail(error))


def _fail(error: SettingsError | ExtraMissing) -> int:
    sys.stderr.write(f"{error}\n")
    return 2


def plain_lists(settings: Settings) -> dict[str, str]:
    """Return, by queue, the list without the key prefix that is read too.

    Stock clients send to the default queue's list. Older versions sent to the others.
    """
    plain = {} if settings.plain_queue is None else {DEFAULT_QUEUE: settings.plain_queue}
    if settings.key_prefix != DEFAULT_PREFIX:
        return plain
    return {name: name for name in (DEFAULT_QUEUE, *FORMER_QUEUES)} | plain


def former_lists(settings: Settings) -> list[str]:
    """Return the lists of older versions' doorbells that these settings do not read."""
    read = plain_lists(settings).values()
    names = [name for name in (DEFAULT_QUEUE, *FORMER_QUEUES) if name not in read]
    return [queue_key(name, priority) for name in names for priority in PRIORITIES]


def queue_names(settings: Settings) -> list[str]:
    """Return the queues of which a worker reads lists: its accounts', and older versions'."""
    own = (account.exchange for account in settings.accounts.values())
    return [*dict.fromkeys((DEFAULT_QUEUE, *map(key_name, own), *plain_lists(settings)))]


def others_queues(settings: Settings) -> list[str]:
    """Return those of them whose doorbells are for the workers of other accounts."""
    own = {key_name(account.exchange) for account in settings.accounts.values()}
    return [name for name in plain_lists(settings) if name not in {DEFAULT_QUEUE, *own}]


def make_app(settings: Settings) -> Celery:
    """Return the Celery application for these settings.

    Raises:
        SettingsError: `redis_url` is wrong.
    """
    timeout_s = settings.redis_timeout_ms / 1_000
    address = parse(settings.redis_address)
    transport, beside = "Transport", dict[str, object]()
    if address.master:
        transport, beside = "SentinelTransport", {"sentinels": Sentinels(address)}
    elif address.socket:
        transport, beside = "SocketTransport", {"socket_path": address.socket}
    app = Celery(
        "cancel-worker",
        loader="celery.loaders.app:AppLoader",
        fixups=[],
        include=["worker.tasks"],
        events="worker.messaging.task_events:Events",
    )
    app.conf.update(
        broker_url=address.broker_url,
        broker_transport=f"worker.messaging.broker:{transport}",
        broker_use_ssl=None if address.tls is None else dict(address.tls),
        broker_transport_options={
            # Cancels come before renewals, across all queues.
            "priority_steps": list(PRIORITIES),
            # Separates this deployment from all other users of this Redis.
            "global_keyprefix": settings.key_prefix,
            "others_queues": others_queues(settings),
            "plain_lists": plain_lists(settings),
            "former_lists": former_lists(settings),
            "sep": "\x06\x16",
            "visibility_timeout": VISIBILITY_S,
            "unacked_restore_interval": 1,
            "socket_timeout": max(5.0, timeout_s),
            "socket_connect_timeout": timeout_s,
            "socket_keepalive": True,
            "health_check_interval": 10,
            **beside,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        task_publish_retry=False,
        task_default_queue=DEFAULT_QUEUE,
        task_queues=[
            Queue(name, Exchange(name), routing_key=name) for name in queue_names(settings)
        ],
        task_default_priority=PRIORITIES[0],
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_consumer="worker.messaging.broker:Consumer",
        worker_pool="threads",
        worker_concurrency=settings.worker.concurrency,
        worker_prefetch_multiplier=PREFETCHED,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=True,
        worker_send_task_events=False,
        enable_utc=True,
        beat_scheduler="worker.messaging.beat:LeaseScheduler",
        beat_schedule={
            TICK: {
                "task": TICK,
                "schedule": TICK_S,
                "options": {"expires": 2 * TICK_S, "priority": LATER},
            }
        },
    )
    return app


def _drop_variables() -> list[str]:
    """Remove Celery's own variables from the environment; return their names.

    Celery would prefer them to the configuration here: another broker, other queues.
    Its command line has already copied `-b`, `BROKER_URL` and similar options there.
    """
    names = sorted(name for name in os.environ if name.startswith(FOREIGN_PREFIX))
    for name in names:
        del os.environ[name]
    return names


DROPPED = _drop_variables()
try:
    app = make_app(_settings())
except SettingsError as error:
    sys.exit(_fail(error))
# Without this file Flower would start without a login.
os.environ.setdefault("FLOWER_CONF", str(Path(__file__).with_name("flower_config.py")))


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:  # noqa: ANN401  Celery's signal
    settings = _settings()
    try:
        mask = logs.set_up(settings.worker.log_level, secrets_of(settings))
        sentry.start(settings.sentry_address, mask)
        if DROPPED:
            log = logging.getLogger(__name__)
            log.warning("%s: ignored; set redis_url and [worker] instead", ", ".join(DROPPED))
    except SettingsError as error:
        sys.exit(_fail(error))


_monitor: health.Monitor | None = None
_deferred: Deferred | None = None
_notifier: Notifier | None = None


@signals.worker_init.connect
def _build(**_: Any) -> None:  # noqa: ANN401  Celery's signal
    try:
        secret_files.warn_of_exposed(runtime().settings)
        _make_notifier("worker")
    except (SettingsError, ExtraMissing) as error:
        sys.exit(_fail(error))
    except Exception:  # Celery would log it and keep consuming messages without running them
        logging.getLogger(__name__).exception("the worker cannot start")
        sys.exit(1)


@signals.celeryd_after_setup.connect
def _show_worker(**_: Any) -> None:  # noqa: ANN401  Celery's signal
    """Serve health checks before the connection to the broker is up."""
    global _monitor  # noqa: PLW0603  one per process
    parts = runtime()
    _monitor = serve_health(parts.settings, parts.dispatcher.liveness, "worker")


@signals.worker_ready.connect
def _start(sender: Any, **_: Any) -> None:  # noqa: ANN401  Celery's signal
    def requeue() -> None:
        # Look up the channel at call time: it changes after an outage of Redis.
        sender.task_consumer.channel.qos.restore_unacked()

    shutdown = runtime().shutdown
    shutdown.watch(requeue)
    shutdown.handle_signals(lambda: setattr(state, "should_stop", 0))
    runtime().dispatcher.start()
    global _deferred  # noqa: PLW0603  one per process
    _deferred = Deferred(runtime())
    _deferred.start()
    if _notifier is not None:
        _notifier.start()


def _make_notifier(role: str) -> Notifier:
    global _notifier  # noqa: PLW0603  one per process
    _notifier = Notifier(_settings(), role)
    return _notifier


@signals.worker_shutting_down.connect
def _begin_shutdown(**_: Any) -> None:  # noqa: ANN401  Celery's signal
    runtime().shutdown.begin()  # for a signal that arrived before the worker was ready


@signals.beat_init.connect
def _show_beat(sender: Any = None, **_: Any) -> None:  # noqa: ANN401  Celery's signal
    sender.scheduler.handle_signals()
    serve_health(_settings(), sender.scheduler.liveness, "beat")
    try:
        _make_notifier("beat").start()
    except (SettingsError, ExtraMissing) as error:
        sys.exit(_fail(error))


@signals.task_internal_error.connect
@signals.task_failure.connect
def _failed(
    sender: Any = None,  # noqa: ANN401  Celery's signal
    exception: BaseException | None = None,
    args: Any = None,  # noqa: ANN401  Celery's signal
    kwargs: Any = None,  # noqa: ANN401  Celery's signal
    **_: Any,  # noqa: ANN401  Celery's signal
) -> None:
    """Record a message whose task raised: tasks handle every expected error themselves."""
    name = getattr(sender, "name", sender)
    reason = f"{name} failed ({type(exception).__name__}: {exception})"
    runtime().bury(reason, shown(name, args, kwargs), error=exception)


@signals.task_revoked.connect
def _expired(
    sender: Any = None,  # noqa: ANN401  Celery's signal
    request: Any = None,  # noqa: ANN401  Celery's signal
    expired: bool = False,  # noqa: FBT001, FBT002  Celery's signal
    **_: Any,  # noqa: ANN401  Celery's signal
) -> None:
    """Report an expired message: its sender may assume that it took effect."""
    if not expired:
        return
    name = getattr(sender, "name", sender)
    if name not in (CANCEL, COUNTDOWN) or getattr(request, BELL, None):
        metrics.expired("doorbell")  # Celery logs it already
        return
    metrics.expired("cancel" if name == CANCEL else "countdown")
    reason = f"{name} expired before a worker read it"
    if name == CANCEL:
        runtime().bury(reason, shown(name, request.args, request.kwargs))
    else:
        logging.getLogger(__name__).warning("%s: %r", reason, request.kwargs or request.args)


@signals.worker_shutdown.connect
def _stop(**_: Any) -> None:  # noqa: ANN401  Celery's signal
    if _deferred is not None:
        _deferred.stop()
    runtime().dispatcher.stop()
    if _notifier is not None:
        _notifier.stop()
    if _monitor is not None:
        _monitor.stop()
