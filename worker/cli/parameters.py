"""Values of options and arguments, taken without pydantic: it would cost a third of a second.

typer has pydantic convert every value. Values that need no conversion, or a plain one, are
taken here; all others, and with them every mistake, go to typer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

T = TypeVar("T", bound=Iterable[object])

INTEGER_MAX = 18
"""Most digits of a number that is taken here."""


class NotPlainError(Exception):
    """A value that typer must convert."""


class PlainOption(TyperOption):
    """An option whose plain values are taken as they are."""

    def process_value(self, ctx: Any, value: Any) -> Any:  # noqa: ANN401  typer's signature
        """Return the value for the command."""
        try:
            taken = _taken(self, value)
        except NotPlainError:
            return super().process_value(ctx, value)
        return taken if self.callback is None else self.callback(ctx, self, taken)


class PlainArgument(TyperArgument):
    """An argument whose plain values are taken as they are."""

    def process_value(self, ctx: Any, value: Any) -> Any:  # noqa: ANN401  typer's signature
        """Return the value for the command."""
        try:
            taken = _taken(self, value)
        except NotPlainError:
            return super().process_value(ctx, value)
        return taken if self.callback is None else self.callback(ctx, self, taken)


class PlainCommand(TyperCommand):
    """A command whose parameters take plain values as they are."""

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401  typer's signature
        """Return options and arguments, `--help` among them."""
        return _taking(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands whose own options take plain values as they are."""

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401  typer's signature
        """Return the options, `--help` among them."""
        return _taking(super().get_params(ctx))


def _taking(parameters: T) -> T:
    """Change the classes of parameters: typer chooses them and lets no one name others."""
    for parameter in parameters:
        if type(parameter) is TyperOption:
            parameter.__class__ = PlainOption
        elif type(parameter) is TyperArgument:
            parameter.__class__ = PlainArgument
    return parameters


def _taken(parameter: TyperOption | TyperArgument, value: object) -> object:
    """Return the value for the command.

    Raises:
        NotPlainError: typer must convert the value, or report what is wrong.
    """
    many = bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1
    if value is None or (many and not value):
        if parameter.required:
            raise NotPlainError
        return () if many else None
    kind = parameter.type_descriptor.annotation
    if not many:
        return _one(parameter, kind, value)
    if kind != list[str] or not isinstance(value, Sequence):
        raise NotPlainError
    return tuple(_one(parameter, str, each) for each in value)


def _one(parameter: TyperOption | TyperArgument, kind: object, value: object) -> object:
    given = parameter.type_descriptor.parameter_info
    if given.parser is not None:
        try:
            return given.parser(value)  # type: ignore[arg-type]
        except (typer.BadParameter, ValueError):
            raise NotPlainError from None
    if kind is str and isinstance(value, str):
        return value
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int:
        return _integer(value, given.min, given.max)
    if kind is Path and not given.exists and isinstance(value, str | Path):
        if os.access(value, os.R_OK):
            return Path(value)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        for each in kind:
            if value is each or value == each.value:
                return each
    raise NotPlainError


def _integer(value: object, least: float | None, most: float | None) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) <= INTEGER_MAX else None
    if type(value) is not int:
        raise NotPlainError
    if (least is not None and value < least) or (most is not None and value > most):
        raise NotPlainError
    return value
