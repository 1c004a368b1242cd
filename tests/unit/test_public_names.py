"""The names that strategies import, as they may rely on them."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import worker
from worker.client import producer

HOMES = {
    "AsyncCountdown": "worker.client.async_switch",
    "AsyncHeartbeat": "worker.client.async_heartbeat",
    "AsyncProducer": "worker.client.async_producer",
    "AsyncSwitch": "worker.client.async_switch",
    "AsyncTicket": "worker.client.async_ticket",
    "Beat": "worker.client.switch",
    "Switch": "worker.client.switch",
    "SwitchDisarmed": "worker.errors",
    "SwitchError": "worker.errors",
    "SwitchClearing": "worker.errors",
    "SwitchOverlap": "worker.errors",
    "SwitchReplaced": "worker.errors",
    "SwitchTripped": "worker.errors",
    "SwitchUnknown": "worker.errors",
    "CancelWorkerError": "worker.errors",
    "Heartbeat": "worker.client.heartbeat",
    "ExtraMissing": "worker.errors",
    "InvalidCommand": "worker.errors",
    "OrderResult": "worker.client.orders",
    "Outcome": "worker.model.outcomes",
    "Panic": "worker.client.verbs",
    "Producer": "worker.client.producer",
    "Result": "worker.client.ticket",
    "SettingsError": "worker.errors",
    "State": "worker.model.jobs",
    "StoreUnavailable": "worker.errors",
    "NotReplicated": "worker.errors",
    "Ticket": "worker.client.ticket",
    "UnknownAccount": "worker.errors",
}
OUTCOMES = ["CANCELED", "GONE", "REJECTED", "THROTTLED", "UNAVAILABLE", "UNAUTHORIZED", "UNKNOWN"]


def test_public_names_are_these() -> None:
    """A name comes or goes only on purpose."""
    assert sorted(importlib.import_module("worker").__all__) == sorted(HOMES)


@pytest.mark.parametrize("name", HOMES)
def test_public_name_is_its_homes(name: str) -> None:
    """Each name is the very object of its module, and documented."""
    found = getattr(worker, name)
    assert found is getattr(importlib.import_module(HOMES[name]), name)
    assert inspect.getdoc(found)


def test_other_names_are_not_there() -> None:
    """A wrong name is an error that says so."""
    with pytest.raises(AttributeError, match="has no attribute 'Cancel'"):
        _ = importlib.import_module("worker").Cancel


def test_outcomes_are_these() -> None:
    """The enum is closed; two of them are proofs."""
    assert [outcome.value for outcome in worker.Outcome] == OUTCOMES
    assert [outcome for outcome in worker.Outcome if outcome.proven] == [
        worker.Outcome.CANCELED,
        worker.Outcome.GONE,
    ]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("cancel", ["account", "order_id", "pair", "side", "client_order_id"]),
        ("cancel_many", ["account", "order_ids", "pair", "side", "client_order_ids"]),
        ("cancel_all", ["account", "pair", "side", "client_id_prefix", "stops", "hold_ms"]),
        ("panic", ["accounts"]),
        (
            "cancel_direct",
            ["account", "order_id", "pair", "side", "client_order_id", "timeout_ms"],
        ),
        (
            "cancel_all_direct",
            ["account", "pair", "side", "client_id_prefix", "stops", "timeout_ms"],
        ),
        (
            "arm",
            [
                "account",
                "pairs",
                "order_ids",
                "client_order_ids",
                "client_id_prefix",
                "stops",
                "everything",
                "timeout_ms",
                "name",
                "replace",
                "clear_wait_ms",
            ],
        ),
        (
            "countdown",
            [
                "account",
                "pairs",
                "order_ids",
                "client_order_ids",
                "client_id_prefix",
                "stops",
                "everything",
                "timeout_ms",
                "name",
                "replace",
                "clear_wait_ms",
            ],
        ),
    ],
)
def test_producer_takes_what_it_took(method: str, parameters: list[str]) -> None:
    """Order and names of parameters are the contract; what narrows a scope is passed by name."""
    signature = inspect.signature(getattr(producer.Producer, method))
    assert list(signature.parameters)[1:] == parameters
    for name, parameter in signature.parameters.items():
        free = ("self", "account", "accounts", "order_id", "order_ids")
        by_name = name not in free or method == "arm"
        if by_name and name not in ("self", "account"):
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_result_and_ticket_have_their_fields() -> None:
    """What a strategy reads of a result stays."""
    assert set(worker.Result.__slots__) == {
        "outcome",
        "attempts",
        "latency_ms",
        "detail",
        "state",
        "canceled",
        "closed",
    }
    assert {"id", "account", "order_id", "client_order_id", "fresh"} <= set(worker.Ticket.__slots__)


def test_importing_the_package_imports_little() -> None:
    """`import worker` reads no settings and no library until a name is used."""
    code = "import sys, worker; print(sorted({'redis', 'celery', 'pydantic'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
