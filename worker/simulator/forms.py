"""Reading urlencoded parameters."""

from __future__ import annotations

from urllib.parse import parse_qsl


def form_pairs(text: str) -> list[tuple[str, str]]:
    """Read every name and value in order, empty values included."""
    return parse_qsl(text, keep_blank_values=True, errors="replace")


def form_fields(*texts: str) -> dict[str, str]:
    """Read several forms as one; of a name given twice, the first value counts."""
    fields: dict[str, str] = {}
    for text in texts:
        for name, value in form_pairs(text):
            fields.setdefault(name, value)
    return fields


def body_text(body: bytes) -> str:
    """Read a body as text, whatever bytes it holds."""
    return body.decode("utf-8", "replace")


def whole_number(text: str | None) -> int | None:
    """Read a non-negative decimal integer; anything else is None."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 30:  # noqa: PLR2004
        return None
    return int(text)
