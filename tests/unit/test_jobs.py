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
    *("lost", "urgent", "lease_ms", "raw", "history"),
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
    """As after a lost worker: what was done then cannot be told from here."""
    job = Job.read({"kind": "cancel", "phase": "weigh"})
    assert (job.phase, job.lost) == (None, True)
