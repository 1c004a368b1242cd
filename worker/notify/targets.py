"""Where notifications go: the addresses of the settings, and delivery by apprise."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from worker.config.notify import Notify, Route
from worker.errors import SettingsError
from worker.extras import needing
from worker.telemetry.logs import Mask

if TYPE_CHECKING:
    import apprise

APP = "cancel-worker"
BODY_MAX = 1_500
"""Characters; the services allow 2,000 or more."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address.

    Attributes:
        id: Its scheme and a hash, which may be shown.
        routes: The routes of the settings that name it.
    """

    id: str
    address: str = field(repr=False)
    routes: tuple[Route, ...]
    where: str

    def wants(self, event: str, account: str) -> bool:
        """Return whether a message of an event and account is sent to it."""
        return any(
            (not route.events or event in route.events)
            and (not account or not route.accounts or account in route.accounts)
            for route in self.routes
        )


def targets_of(notify: Notify) -> list[Target]:
    """Return the addresses of the settings, each once.

    Raises:
        SettingsError: A file of addresses cannot be read, or holds something else.
    """
    found: dict[str, Target] = {}
    for where, route in notify.named_routes():
        for address in route.addresses(where):
            digest = hashlib.sha256(address.encode()).hexdigest()[:8]
            known = found.get(address)
            routes = (*known.routes, route) if known else (route,)
            scheme = address.partition("://")[0].lower()
            found[address] = Target(f"{scheme}-{digest}", address, routes, where)
    return list(found.values())


def require_apprise() -> None:
    """Check that apprise is installed, without importing it: that takes a second.

    Raises:
        ExtraMissing: It is not.
    """
    with needing("[notify]"):
        if find_spec("apprise") is None:
            raise ModuleNotFoundError(name="apprise")


class Delivery:
    """Sends messages by apprise, which is imported at the first one.

    Args:
        mask: Masks the secrets of the settings in what is reported of failures.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._services: dict[str, apprise.Apprise] = {}

    def check(self, target: Target) -> None:
        """Check that apprise knows an address; nothing is sent.

        Raises:
            SettingsError: It does not. The address is not shown.
            ExtraMissing: apprise is not installed.
        """
        self._service(target)

    def send(self, target: Target, title: str, body: str, *, over: bool) -> str:
        """Send one message; return why it was not delivered, empty if it was.

        It may have been delivered also where a reason is returned: a reply can be lost.

        Args:
            target: Where to.
            title: One line.
            body: Text.
            over: Whether it reports the end of an outage alone.
        """
        errors = _Errors()
        try:
            service = self._service(target)
            with errors:
                done = service.notify(
                    title=self._mask(title),
                    body=self._mask(_shortened(body)),
                    notify_type="success" if over else "warning",
                    body_format="text",
                )
        except SettingsError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  of any of a hundred services
            return f"{type(error).__name__}"
        return "" if done else self._mask(errors.text or "not delivered")

    def _service(self, target: Target) -> apprise.Apprise:
        if target.id not in self._services:
            with needing("[notify]"):
                import apprise  # noqa: PLC0415  slow

            logging.getLogger("apprise").propagate = False  # its lines may hold an address
            asset = apprise.AppriseAsset(app_id=APP, app_desc=APP, app_url="")
            service = apprise.Apprise(asset=asset)
            if not service.add(target.address):
                raise SettingsError(
                    f"{target.where}: address {target.id} is none that apprise knows; see its "
                    "list of services"
                )
            self._services[target.id] = service
        return self._services[target.id]


class _Errors(logging.Handler):
    """Collects the last line that apprise logs while it is entered."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()[:200]

    def __enter__(self) -> None:
        logging.getLogger("apprise").addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def _shortened(body: str) -> str:
    return body if len(body) <= BODY_MAX else f"{body[: BODY_MAX - 1]}…"


def digest(parts: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return title and body of one message for several, each with its title and body."""
    if len(parts) == 1:
        return parts[0]
    share = BODY_MAX // len(parts)
    sections = [f"{title}\n{body}"[: max(share, len(title))] for title, body in parts]
    return f"{len(parts)} notices: {parts[0][0]}, …", "\n\n".join(sections)
