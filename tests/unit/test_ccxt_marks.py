"""What leaves for an exchange of ccxt is one request, and names no broker: of all ids."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.support.ccxt_requests import GOLDEN
from worker.exchanges.ccxt.adapter import exchange_of, offered
from worker.exchanges.ccxt.table import table
from worker.model.wire import Request

pytestmark = pytest.mark.timeout(600)  # every exchange of ccxt is imported

MARK = re.compile(
    r"broker|partner|referr?er|channel|affiliate|^x-source|^source$|user-agent|-client(-version)?$",
    re.IGNORECASE,
)
"""Names of headers by which a program or a broker names itself."""
BROKERS = frozenset({"broker", "brokerId", "builder", "builderId", "builderCode", "partner"})
"""Options in which ccxt keeps its own."""
SHORT = 4
OWN = {"bitteam": "/trade/api/ccxt/"}
"""Paths of an exchange's own that name ccxt."""
TOKEN = re.compile(r"[A-Za-z0-9+/_=-]{16,}")
CHANGES = re.compile(
    r"refer|leverage|mode|agent|approve|builder|register|transfer|withdraw|position|account/set",
    re.IGNORECASE,
)
"""Endpoints that change an account, or are about more than orders."""


@cache
def requests() -> list[tuple[str, str, Request]]:
    """Return each request that an id signs, with the id and the command's name.

    A test compares them with what is signed now.
    """
    rows = map(json.loads, GOLDEN.read_text().splitlines())
    return [
        (exchange_id, name, Request(method, url, headers, body.encode()))
        for exchange_id, name, method, url, headers, body in rows
    ]


def opened(text: str) -> Iterator[str]:
    """Yield a text, and what its tokens say in base64."""
    yield text
    for token in TOKEN.findall(text):
        with_padding = token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4)
        try:
            yield base64.urlsafe_b64decode(with_padding).decode()
        except (binascii.Error, ValueError):
            continue


def text_of(request: Request) -> str:
    """Return all of a request that is sent, in small letters, tokens opened."""
    whole = json.dumps([request.url, dict(request.headers), request.body.decode()])
    return " ".join(each for part in whole.split(".") for each in opened(part)).casefold()


def brokers(options: object) -> Iterator[str]:
    """Yield the marks that ccxt keeps in its options."""
    for name, value in options.items() if isinstance(options, dict) else ():
        if name in BROKERS:
            yield from (each for each in leaves(value) if len(each) >= SHORT)
        else:
            yield from brokers(value)


def leaves(value: object) -> Iterator[str]:
    """Yield the texts of an option."""
    for each in value.values() if isinstance(value, dict) else [value]:
        if isinstance(each, dict):
            yield from leaves(each)
        elif isinstance(each, str):
            yield each


def test_no_header_names_a_broker() -> None:
    """Nor a program."""
    assert len({exchange_id for exchange_id, _, _ in requests()}) >= 80
    found = {
        (exchange_id, header)
        for exchange_id, _, request in requests()
        for header in request.headers
        if MARK.search(header)
    }
    assert found == set()


def test_nothing_names_ccxt() -> None:
    """In no address, header, body or token."""
    found = {
        (exchange_id, name)
        for exchange_id, name, request in requests()
        if "ccxt" in text_of(request).replace(OWN.get(exchange_id, "ccxt is no path"), "")
    }
    assert found == set()


def test_no_mark_of_a_broker_leaves() -> None:
    """What ccxt's options have as a broker is in no request."""
    marked, found = set(), set()
    for exchange_id, name, request in requests():
        options = exchange_of(exchange_id).calls.prepare().instance.options
        for mark in brokers(options):
            marked.add(exchange_id)
            if mark.casefold() in text_of(request):
                found.add((exchange_id, name, mark))
    assert len(marked) >= 20, sorted(marked)
    assert found == set()


def test_each_request_is_the_one_that_is_named() -> None:
    """No endpoint of the table changes an account; no other one is ever sent."""
    named = {
        (exchange_id, endpoint)
        for exchange_id in offered()
        for call in (
            table()[exchange_id].cancel,
            table()[exchange_id].query,
            table()[exchange_id].listing,
        )
        if call
        for endpoint in (call.plain, call.paired)
        if CHANGES.search(endpoint)
    }
    assert named == set()
