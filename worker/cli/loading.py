"""The commands by name, each imported when it is first asked for.

One command runs in a process, so the others' modules would only cost time.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Final

import typer
from typer.main import get_group

from worker.cli.parameters import PlainCommand, PlainGroup

PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cancel": "commands.cancel:cancel",
        "cancel-all": "commands.cancel:cancel_all",
        "panic": "commands.panic:panic",
        "arm": "commands.switch:arm",
        "beat": "commands.switch:beat",
        "disarm": "commands.switch:disarm",
        "switches": "commands.switches:switches",
        "jobs": "commands.jobs:jobs",
        "show": "commands.jobs:show",
        "dead": "commands.dead:app",
        "status": "commands.status:status",
        "notify": "commands.notify:app",
        "check": "check.command:check",
        "web": "commands.web:web",
        "token": "commands.token:app",
        "simulator": "commands.simulator:simulator",
        "up": "up.command:up",
        "demo": "demo.command:demo",
    }
)
"""Module below `worker.cli`, and the name there of a function, or of a group of commands."""


class Commands(MutableMapping[str, Any]):
    """typer's commands by name, in the order of `PLACES`; what is read is imported."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  typer's class is private
        if name not in self._made and name in PLACES:
            self._made[name] = _load(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401  same
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in PLACES or name in self._made

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*PLACES, *self._made)))

    def __len__(self) -> int:
        return len({*PLACES, *self._made})


class Program(PlainGroup):
    """The group of all commands."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  typer's own
        super().__init__(**options)
        self.commands = Commands()

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002  typer's signature
        """Return the names, without importing what they name."""
        return [*self.commands]


def _load(name: str) -> Any:  # noqa: ANN401  typer's class is private
    module, _, attribute = PLACES[name].partition(":")
    found = getattr(importlib.import_module(f"worker.cli.{module}"), attribute)
    around = typer.Typer(add_completion=False, rich_markup_mode=None)
    around.callback()(_no_options)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, cls=PlainGroup)
    else:
        around.command(name, cls=PlainCommand)(found)
    return get_group(around).commands[name]


def _no_options() -> None:
    """Stand for the options of the program, which are parsed before."""
