"""All errors that this program raises.

CancelWorkerError
├── SettingsError          a setting is missing or wrong
├── ExtraMissing           a package is not installed that an extra brings
├── InvalidCommand         the command is invalid
│   ├── UnknownAccount     no account has this alias
│   └── SwitchOverlap      another switch covers part of this scope
├── SwitchError            the switch is not in the state that the caller expects
│   ├── SwitchTripped      its deadline has passed
│   ├── SwitchReplaced     the same scope was armed again
│   ├── SwitchDisarmed     it was disarmed
│   ├── SwitchClearing     a former switch of its pairs is still canceling
│   └── SwitchUnknown      no such switch, or its record has expired
├── LaterFormat            a newer version wrote this message; its workers read it
├── StoreUnavailable       Redis did not answer
│   └── NotReplicated      Redis answered, but too few replicas have the write
└── TransportError         no reply from the exchange
    ├── NotSent            no byte of the request was sent
    └── ReplyLost          the request was sent; its outcome is unknown
"""

from __future__ import annotations


class CancelWorkerError(Exception):
    """Root of every error that callers may see."""


class SettingsError(CancelWorkerError):
    """A setting is missing or wrong; the text names it and the fix."""


class ExtraMissing(CancelWorkerError):
    """A package is not installed that an extra brings; the text names the extra."""


class InvalidCommand(CancelWorkerError, ValueError):
    """The command is invalid. Nothing was queued."""


class UnknownAccount(InvalidCommand):
    """No account has this alias. Nothing was queued."""


class SwitchOverlap(InvalidCommand):
    """Another armed switch covers part of this scope. Nothing was armed."""


class SwitchError(CancelWorkerError):
    """The switch is not in the state that the caller expects. Nothing was changed."""


class SwitchTripped(SwitchError):
    """The deadline has passed; workers are canceling the orders of the scope."""


class SwitchReplaced(SwitchError):
    """The same scope was armed again, for example by a restarted strategy."""


class SwitchDisarmed(SwitchError):
    """The switch was disarmed; it has no deadline."""


class SwitchClearing(SwitchError):
    """A former switch may still cancel orders placed now. Nothing was armed.

    Attributes:
        retry_after_ms: Expected time until arming is possible. It takes longer
            while the exchange does not answer.
    """

    def __init__(self, text: str, retry_after_ms: int = 0) -> None:
        super().__init__(text, retry_after_ms)
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        """Return the text."""
        return str(self.args[0])


class SwitchUnknown(SwitchError):
    """No switch has this id, or its record has expired."""


class LaterFormat(CancelWorkerError):
    """A message declares a format that this version does not know."""


class StoreUnavailable(CancelWorkerError):
    """Redis did not answer in time, or refused the command.

    The command may or may not have taken effect. Retrying is safe: the same
    order enqueued twice while pending is one job.
    """


class NotReplicated(StoreUnavailable):
    """Redis has recorded the command, but too few replicas confirmed it in time.

    Workers run it as any other. It is lost only if the master is lost before a
    replica has it. Retrying is safe and waits again.
    """


class TransportError(CancelWorkerError):
    """No reply from the exchange."""


class NotSent(TransportError):
    """No byte of the request was sent: no connection, or no time left for one."""


class ReplyLost(TransportError):
    """The request was sent and no complete reply arrived. Its outcome is unknown."""
