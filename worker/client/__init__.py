"""Client library: all that a strategy imports, by way of `worker`."""

from worker.client.async_producer import AsyncProducer as AsyncProducer
from worker.client.async_switch import AsyncCountdown as AsyncCountdown
from worker.client.async_switch import AsyncSwitch as AsyncSwitch
from worker.client.async_ticket import AsyncTicket as AsyncTicket
from worker.client.heartbeat import Heartbeat as Heartbeat
from worker.client.producer import Producer as Producer
from worker.client.switch import Beat as Beat
from worker.client.switch import Switch as Switch
from worker.client.ticket import Result as Result
from worker.client.ticket import Ticket as Ticket
from worker.errors import CancelWorkerError as CancelWorkerError
from worker.errors import ExtraMissing as ExtraMissing
from worker.errors import InvalidCommand as InvalidCommand
from worker.errors import NotReplicated as NotReplicated
from worker.errors import SettingsError as SettingsError
from worker.errors import StoreUnavailable as StoreUnavailable
from worker.errors import SwitchClearing as SwitchClearing
from worker.errors import SwitchDisarmed as SwitchDisarmed
from worker.errors import SwitchError as SwitchError
from worker.errors import SwitchOverlap as SwitchOverlap
from worker.errors import SwitchReplaced as SwitchReplaced
from worker.errors import SwitchTripped as SwitchTripped
from worker.errors import SwitchUnknown as SwitchUnknown
from worker.errors import UnknownAccount as UnknownAccount
from worker.model.jobs import State as State
from worker.model.outcomes import Outcome as Outcome
