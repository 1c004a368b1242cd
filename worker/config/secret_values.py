"""Read secrets from files, and mask them in error texts."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from worker.errors import SettingsError
from worker.model.text import shortened

SECRET_MAX_BYTES = 16_384
BARE = "holds more than one line or a control character; give the bare secret"
PEM = "-----BEGIN "
MAYBE_SECRET = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9+/=_.-]{20,}")
"""Text that may be a secret, pasted in place of a name."""


def read_secret(path: Path, name: str) -> str:
    """Read a secret from a file; `name` is the setting that gives its path.

    Raises:
        SettingsError: The file cannot be read, is empty or is too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SECRET_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{name}: {_place(path)} cannot be read: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{name}: {_place(path)} is no path") from None
    if len(raw) > SECRET_MAX_BYTES:
        raise SettingsError(f"{name}: {path} is too large for a secret")
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{name}: {path} is not UTF-8 text") from None
    if not text:
        raise SettingsError(f"{name}: {path} is empty")
    if not is_bare(text):
        raise SettingsError(f"{name}: {path} {BARE}")
    return text


def is_bare(text: str) -> bool:
    """Return whether a text is one line, or a private key in PEM, which has several."""
    lines = text.splitlines() if text.startswith(PEM) else [text]
    return all(line.isprintable() for line in lines)


def parts_of(secret: str) -> list[str]:
    """Return a secret, and the lines of a key in PEM, each of which is to be masked too."""
    lines = secret.splitlines()[1:-1] if secret.startswith(PEM) else []
    return [secret, *lines]


def masked(text: str) -> str:
    """Replace text that may be a secret, pasted in place of a name."""
    return MAYBE_SECRET.sub("***", text)


def _place(path: Path) -> str:
    """Return a missing path for an error text; masked if it may be the secret itself."""
    text = str(path)
    leads = len(path.parts) > 1 and os.path.isdir(path.parent)  # noqa: PTH112  never raises
    return shortened(text if leads else masked(text))


def check_base64(secret: str, name: str) -> None:
    """Refuse a secret that is not base64; `name` is its setting.

    Raises:
        SettingsError: It is not.
    """
    try:
        base64.b64decode(secret, validate=True)
    except ValueError:
        raise SettingsError(
            f"{name} is not base64; paste it again, exactly as the exchange gave it"
        ) from None
