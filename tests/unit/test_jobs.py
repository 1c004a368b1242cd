"""Jobs are read from whatever a record holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.model.jobs import Job, Kind, Phase, State

NAMES = [
    *("id", "v", "kind", "state", "lane", "order_id", "phase", "streak", "missing", "missing_ms"),
    *("attempts", "claim", "created_ms", "first_ms", "due_ms", "finished_ms", "outcome", "detail"),
    *("lost", "urgent", "tripped", "lease_ms", "raw", "history"),
]
VALUES = st.one_of(st.text(max_size=20), st.sampled_from([*Kind, *State, *Phase, "1", "2", "nan"]))


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_record_can_be_read_and_shown(fields: dict[str, str]) -> None:
    """What another version wrote, or a damaged record, breaks no listing."""
    job = Job.read(fields)
    json.dumps(job.describe())
    if fields.get("kind") not in set(Kind) or fields.get("kind") == Kind.UNKNOWN:
        assert job.foreign


@pytest.mark.parametrize(
    ("fields", "foreign"),
    [
        ({"v": "1", "kind": "cancel"}, False),
        ({"kind": "cancel"}, False),
        ({"v": "2", "kind": "cancel"}, False),
        ({"v": "3", "kind": "cancel"}, True),
        ({"v": "1", "kind": "amend"}, True),
        ({"v": "1"}, True),
    ],
)
def test_what_a_newer_version_wrote_is_foreign(fields: dict[str, str], *, foreign: bool) -> None:
    """By its version or its kind."""
    assert Job.read(fields).foreign is foreign


def test_a_phase_that_is_not_known_is_asked_about() -> None:
    """As after a lost worker: what was done then is not known here."""
    job = Job.read({"kind": "cancel", "phase": "weigh"})
    assert (job.phase, job.lost) == (None, True)


LIST = {"kind": "cancel_all", "phase": "list"}


@pytest.mark.parametrize(
    ("fields", "listed", "empty", "streak"),
    [
        ({**LIST, "streak": "1", "missing": "0"}, False, False, 1),
        ({**LIST, "streak": "0", "missing": "0"}, True, False, 0),
        ({**LIST, "streak": "-2", "missing": "0"}, True, False, 2),
        ({**LIST, "streak": "1", "missing": "1"}, False, True, 1),
        ({**LIST, "streak": "-1", "missing": "1"}, True, True, 1),
        ({"kind": "cancel", "phase": "list", "streak": "0", "missing": "1"}, False, False, 0),
        ({"kind": "cancel_all", "phase": "send", "streak": "0"}, False, False, 0),
        ({"kind": "cancel_all"}, False, False, 0),
    ],
)
def test_record_of_a_scope_shows_what_its_lists_have_shown(
    fields: dict[str, str], *, listed: bool, empty: bool, streak: int
) -> None:
    """All versions record it in these two fields, and only while the scope is listed."""
    job = Job.read(fields)
    assert (job.listed, job.empty, job.streak) == (listed, empty, streak)


def test_record_of_a_scope_shows_since_when_it_is_empty() -> None:
    """That an order is missing is another fact."""
    fields = {"streak": "1", "missing": "1", "missing_ms": "7"}
    scope, order = Job.read({**LIST, **fields}), Job.read({"kind": "cancel", **fields})
    assert (scope.missing, scope.missing_ms, scope.empty_ms) == (False, None, 7)
    assert (order.missing, order.missing_ms, order.empty_ms) == (True, 7, None)


@pytest.mark.parametrize(
    ("fields", "tripped"),
    [
        ({}, False),
        ({"urgent": "1"}, True),
        ({"urgent": "1", "tripped": "1"}, True),
        ({"urgent": "1", "tripped": "0"}, False),
    ],
)
def test_urgent_job_of_an_older_version_is_a_tripped_switchs(
    fields: dict[str, str], *, tripped: bool
) -> None:
    """That version made no others urgent."""
    assert Job.read({"kind": "cancel_all", **fields}).tripped is tripped
