"""Jobs that a client may record: admitted, accepted and noted in one script."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from worker.store.api_tokens import Rate
from worker.store.audit import KEPT
from worker.store.steps import Run, Steps

T = TypeVar("T")
REFUSED = ["refused"]


class NotAdmittedError(Exception):
    """The token is not as it was known, or makes too many calls. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a call needs to be admitted.

    Attributes:
        digest: Of the token.
        record: The token as Redis kept it when it was read.
        entry: What the audit log is to have of the call; see `entry_text`.
    """

    digest: str
    record: str
    rate: Rate
    entry: str


def admitted(steps: Steps[T], admission: Admission) -> Steps[T]:
    """Carry out a procedure that accepts jobs in one step, if the call is admitted.

    Raises:
        NotAdmittedError: It is not. Nothing was done.
    """
    head = (admission.digest, admission.record, *admission.rate.args, admission.entry, KEPT)
    try:
        step = next(steps)
        while True:
            accepts = isinstance(step, Run) and step.name == "accept"
            if isinstance(step, Run) and accepts:
                step = replace(step, name="accept_admitted", args=(*head, *step.args))
            try:
                answer = yield step
            except Exception as error:  # noqa: BLE001  the procedure judges it
                step = steps.throw(error)
                continue
            if accepts and answer == REFUSED:
                raise NotAdmittedError
            step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()
