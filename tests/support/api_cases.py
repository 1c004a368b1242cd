"""Random calls of the HTTP API, made of its own document: most are nearly valid."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

WORDS = (
    *("ev", "ix", "bm", "nosuch", "btc_idr", "a1", "grid-", "buy", "take", "pending", "CANCELED"),
    *(
        "",
        " ",
        "\x00",
        "é",
        "\u202e",
        "' OR 1=1",
        "../..",
        "%2e%2e",
        "\r\nX-Injected: 1",
        "9" * 300,
    ),
)
NUMBERS = (0, 1, -1, 5, 60_000, 2**31, 2**53, 2**70, 1.5, 1e308)
JUNK: tuple[Any, ...] = (None, True, [], {}, [[]], {"a": 1}, *WORDS, *NUMBERS)
SHORT = {"wait_ms": 3, "clear_wait_ms": 3}
"""Waits that a case may ask for at most."""
BROKEN = (b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"account": "ev"', b"[" * 2_000)


@dataclass(frozen=True)
class Case:
    """One call: `body` is JSON, or bytes that need not be."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Cases:
    """Makes cases of one call of a document.

    Args:
        document: The OpenAPI document.
        seed: Of the random generator.
    """

    def __init__(self, document: Mapping[str, Any], seed: int) -> None:
        self._schemas = document["components"]["schemas"]
        self._random = random.Random(seed)

    def case(self, method: str, path: str, call: Mapping[str, Any], ids: list[str]) -> Case:
        """Return a case; `ids` are of things that exist."""
        chance = self._random.random
        query: dict[str, Any] = {}
        for each in call.get("parameters", ()):
            name = each["name"]
            if each["in"] == "path":
                known = chance() < 0.5
                value = self._random.choice(ids) if known else self._word().replace("/", "_")
                path = path.replace(f"{{{name}}}", quote(str(value), safe="") or "x")
            elif each["in"] == "query" and chance() < 0.4:
                query[name] = self._value(each["schema"], name)
        headers = {"Idempotency-Key": self._word().strip() or "k"} if chance() < 0.2 else {}
        headers = {name: text for name, text in headers.items() if text.isprintable()}
        return Case(method, path, query, self._body(call), headers)

    def _body(self, call: Mapping[str, Any]) -> Any:
        wanted = call.get("requestBody", {}).get("content", {}).get("application/json")
        if wanted is None:
            return None
        if self._random.random() < 0.1:
            return self._random.choice(BROKEN)
        body = self._value(wanted["schema"], "")
        if isinstance(body, dict) and self._random.random() < 0.5:
            name = self._random.choice([*body, "unknown"])
            body = {**body, name: self._random.choice(JUNK)}
        return body

    def _value(self, schema: Mapping[str, Any], name: str) -> Any:
        """Return a value that mostly fits a schema."""
        if self._random.random() < 0.1:
            return self._random.choice(JUNK)
        if name in SHORT:
            return self._random.randint(0, SHORT[name])
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"].rpartition("/")[2]], name)
        if "anyOf" in schema:
            return self._value(self._random.choice(schema["anyOf"]), name)
        return self._plain(schema)

    def _plain(self, schema: Mapping[str, Any]) -> Any:
        """Return a value of a schema that names its type, or its values."""
        if "enum" in schema or "const" in schema:
            return self._random.choice(schema.get("enum") or [schema["const"]])
        match schema.get("type"):
            case "object":
                return self._object(schema)
            case "array":
                return [self._value(schema["items"], "") for _ in range(self._random.randint(0, 3))]
            case "integer":
                return self._random.choice((1, 50, 60_000, *NUMBERS))
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
            case _:
                return self._word()

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        required = schema.get("required", ())
        return {
            name: self._value(each, name)
            for name, each in schema.get("properties", {}).items()
            if name in required or self._random.random() < 0.4
        }

    def _word(self) -> str:
        return self._random.choice(WORDS)
