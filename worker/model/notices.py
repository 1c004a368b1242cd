"""Notices: what a person is notified of, and what happened to whom."""

from __future__ import annotations

from dataclasses import dataclass

ADVICE = {
    "attempt crashed": "A bug in this program; the job is retried. See the worker's log.",
    "beat lost": "Workers' sweeps and heartbeats still renew the switches. Start Celery beat.",
    "banned": "Send fewer requests; other programs on this address count too.",
    "clock skew": "Set the clock of the worker's host by NTP.",
    "clock step": "No switch trips early or late. Set the clock of Redis's host by NTP.",
    "credentials refused": "No order of this account can be canceled until its key is corrected.",
    "dead letter": "These orders may be open. See: cancel-worker dead list",
    "exchange failing": "Orders that should be canceled may be open. See: cancel-worker jobs",
    "exchange throttled": "Nothing is sent until then. See: cancel-worker status",
    "malformed message": "Nothing was canceled for it. See: cancel-worker dead list",
    "no worker": "Jobs wait, and switches that workers hold do not fire. Start a worker.",
    "nonce refused": "Another program may use the key. Its sequence was raised.",
    "queue shared": "Set plain_queue to separate the two applications.",
    "record missing": "Redis lost records. See: cancel-worker check",
    "redis down": "No work is accepted or sent, and switches that workers hold do not fire.",
    "redis not durable": "Accepted jobs may be lost. See: cancel-worker check",
    "redis rejects work": "New commands are refused. See: cancel-worker check",
    "switch overdue": "Its orders are not being canceled. See: cancel-worker switches",
    "switch tripped": "See: cancel-worker switches, cancel-worker jobs",
    "task failed": "A bug in this program; the message is a dead letter.",
    "timer changed": "Another program may use this account's timer: stop it. It is set again.",
    "timer missing": "Only workers cancel at the deadline. See: cancel-worker switches",
    "timer refused": "The exchange has no timer for the switch. Workers cancel at the deadline.",
    "timer spent": "Only workers cancel at the deadlines once it is. See: cancel-worker switches",
    "unrequested cancel": "The exchange misread a request for several orders. No more are sent.",
}
"""What to do about each event, by its name."""
EVENTS = tuple(ADVICE)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that has happened, or a condition that holds now.

    Attributes:
        event: One of `EVENTS`.
        text: One line, without a secret.
        account: Alias; empty if no account is concerned.
        exchange: Name; empty if no exchange is concerned.
        holds: Whether it is a condition. It is observed again for as long as it holds.
        follows: Whether it completes an earlier notice. It is sent at once and not counted.
    """

    event: str
    text: str
    account: str = ""
    exchange: str = ""
    holds: bool = False
    follows: bool = False
