"""Everything that this program raises.

CancelWorkerError
├── SettingsError          a setting is missing or wrong
├── InvalidCommand         the request cannot be carried out as it stands
│   ├── UnknownAccount     no account has this alias
│   └── SwitchOverlap      another switch holds a part of this scope
├── SwitchError            a switch is no longer what its holder believes
│   ├── SwitchTripped      its deadline has passed
│   ├── SwitchReplaced     the same scope was armed again
│   ├── SwitchDisarmed     it was disarmed
│   ├── SwitchClearing     a former switch of its pairs is still canceling
│   └── SwitchUnknown      there is none, or it has been forgotten
├── LaterFormat            a newer version wrote this; it is left to its workers
├── StoreUnavailable       Redis did not answer
│   └── NotReplicated      it did, but too few replicas have it
└── TransportError         no reply from the exchange
    ├── NotSent            the request surely never left
    └── ReplyLost          it may have arrived; its outcome is unknown
"""

from __future__ import annotations


class CancelWorkerError(Exception):
    """Root of every error that callers may see."""


class SettingsError(CancelWorkerError):
    """A setting is missing or wrong; the text names it and the mend."""


class InvalidCommand(CancelWorkerError, ValueError):
    """The request cannot be carried out as it stands. Nothing was queued."""


class UnknownAccount(InvalidCommand):
    """No account has this alias. Nothing was queued."""


class SwitchOverlap(InvalidCommand):
    """Another armed switch holds a part of this scope. Nothing was armed."""


class SwitchError(CancelWorkerError):
    """A switch is no longer what its holder believes. Nothing was changed."""


class SwitchTripped(SwitchError):
    """The deadline has passed: the orders of the scope are being canceled."""


class SwitchReplaced(SwitchError):
    """The same scope was armed again, by a later start of the strategy."""


class SwitchDisarmed(SwitchError):
    """The switch was disarmed; no deadline holds."""


class SwitchClearing(SwitchError):
    """A former switch may still cancel what is placed now. Nothing was armed.

    Attributes:
        retry_after_ms: How long that is expected to last. While the exchange does
            not answer it lasts longer.
    """

    def __init__(self, text: str, retry_after_ms: int = 0) -> None:
        super().__init__(text, retry_after_ms)
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        """Return the text."""
        return str(self.args[0])


class SwitchUnknown(SwitchError):
    """There is no such switch, or it has been forgotten."""


class LaterFormat(CancelWorkerError):
    """A message says that it is of a format that this version does not know."""


class StoreUnavailable(CancelWorkerError):
    """Redis did not answer in time, or refused.

    What was asked may or may not have been done. Asking again is safe: the
    same order enqueued twice while pending is one job.
    """


class NotReplicated(StoreUnavailable):
    """Redis has recorded it, but fewer replicas than asked for have said so in time.

    It is being worked at as any other, and is lost only if the master is lost
    before a replica has it. Asking again is safe, and waits anew.
    """


class TransportError(CancelWorkerError):
    """No reply from the exchange."""


class NotSent(TransportError):
    """The request surely never left: no connection, or no time left for one."""


class ReplyLost(TransportError):
    """The request left and no whole reply came. Its outcome is unknown."""
