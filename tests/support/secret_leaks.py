"""Secrets in every form that they may leave in, looked for in what has left."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Shorter texts are in innocent ones."""
RUN = re.compile(rb"[A-Za-z0-9+/=_%\\-]{30,}")
"""What long forms of a signature are part of; each different one is searched once."""


def forms(secret: str) -> set[bytes]:
    """Return a secret as text, JSON, Python, URLs, hex and base64 write it."""
    data = secret.encode()
    return {
        data,
        json.dumps(secret)[1:-1].encode(),
        json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
        repr(secret)[1:-1].encode(),
        repr(data)[2:-1].encode(),
        quote(data, safe="").encode(),
        quote(data).encode(),
        quote_plus(data).encode(),
        data.hex().encode(),
        data.hex().upper().encode(),
        *(_packed(data, before) for before in range(3)),
        *(_packed(data, before).translate(URL_SAFE) for before in range(3)),
    }


URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _packed(data: bytes, before: int) -> bytes:
    """Return what is sure to be in base64 of `data` after so many bytes."""
    whole = base64.b64encode(b"\0" * before + data)
    return whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]


def leaks(secrets: Mapping[str, Iterable[str]], places: Mapping[str, bytes]) -> list[str]:
    """Return which kind of secret was found in which place."""
    found = []
    runs = {place: b"\n".join({*RUN.findall(data)}) for place, data in places.items()}
    for kind, values in secrets.items():
        known = {form for value in values if len(value) >= SHORTEST for form in forms(value)}
        assert known, f"no secret of this kind was planted: {kind}"
        long = {form for form in known if RUN.fullmatch(form)}
        for place, data in places.items():
            seen = [form for form in known - long if form in data]
            seen += [form for form in long if form in runs[place]]
            hits = map(data.index, seen[:1])
            found += [f"{kind} in {place}: …{data[max(0, at - 80) : at]!r}" for at in hits]
    return found
