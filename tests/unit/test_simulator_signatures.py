"""The simulator's signatures against the vectors that the exchanges document."""

from __future__ import annotations

import base64

import pytest

from tests.support.exchange_clients import (
    BITMART_KEY,
    BITMART_SECRET,
    BODY,
    BODY_SIGN,
    MEMO,
    QUERY,
    QUERY_SIGN,
    SECRET,
)
from worker.simulator.signing import bitmart_signature, everstrike_signature, indodax_signature


def test_indodax_query_vector() -> None:
    """The documented query gives the documented signature."""
    assert indodax_signature(SECRET, QUERY, b"") == QUERY_SIGN


def test_indodax_body_vector() -> None:
    """The documented body gives the documented signature."""
    assert indodax_signature(SECRET, "", BODY) == BODY_SIGN


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ("entrust_id=1223181", "de4ed768cea4eb2f0fe081009eab1f41c5fd6ff6ed53768df7fe252472c257b3"),
        (
            f"{BITMART_KEY}:{BITMART_SECRET}:{MEMO}",
            "18b9beb027d9ee75202655f37344ea5829c5c0d66a0781bf642bb3e944cf5019",
        ),
    ],
)
def test_bitmart_vectors(message: str, signature: str) -> None:
    """The documented messages give the documented signatures."""
    assert bitmart_signature(BITMART_SECRET, message) == signature


def test_everstrike_signature_is_base64_of_the_raw_mac() -> None:
    """RFC 4231's second case, in base64 as the document asks."""
    expected = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    signature = everstrike_signature("Jefe", b"what do ya want for nothing?")
    assert base64.b64decode(signature) == expected
