"""Text from outside the program, made safe to show on one line."""

from __future__ import annotations

SHORT_MAX = 120


def one_line(text: str) -> str:
    """Return text with every unprintable character as an escape sequence."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def shortened(text: str) -> str:
    """Return at most `SHORT_MAX` characters of text on one line, for error messages."""
    shown = one_line(text)
    return shown if len(shown) <= SHORT_MAX else f"{shown[:SHORT_MAX]}…"
