"""Hyperliquid's signatures, by the adapter's libraries and by the simulator's own code."""

from __future__ import annotations

import json
import random
from typing import Any

import msgpack
import pytest
from coincurve import PrivateKey

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.hyperliquid.signing import address_of, digest, hashed, sign
from worker.simulator.hyperliquid import curve
from worker.simulator.hyperliquid.keccak import keccak
from worker.simulator.hyperliquid.packing import pack
from worker.simulator.hyperliquid.signature import message_of, signer_of

VECTORS = ("hyperliquid_schedule_cancel_off", "hyperliquid_schedule_cancel", "hyperliquid_cancel")
SECRET = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
ACTION: dict[str, object] = {"type": "cancel", "cancels": [{"a": 3, "o": 77_738_308}]}
NONCE = 1_700_000_000_000


def body(**changes: object) -> dict[str, Any]:
    """Build a signed request, then change what was signed."""
    signature = sign(digest(ACTION, NONCE), SECRET)
    return {"action": ACTION, "nonce": NONCE, "signature": signature, **changes}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_sdk_are_met(name: str) -> None:
    """Two of them are those of its own tests."""
    vector: dict[str, Any] = {**golden.vector(name)}
    message = digest(vector["action"], vector["nonce"])
    assert sign(message, vector["private_key"]) == vector["result"]
    assert message_of(vector["action"], vector["nonce"], None) == message
    signed = {"action": vector["action"], "nonce": vector["nonce"], "signature": vector["result"]}
    assert signer_of(signed) == ADDRESS


def test_each_recorded_request_is_signed_by_its_wallet() -> None:
    """As the simulator reads it."""
    found = json.loads((golden.FOLDER / "hyperliquid.json").read_text())["cases"]
    signed = [case for case in found if "signature" in case["request"]["body"]]
    assert len(signed) == 5
    for case in signed:
        assert signer_of(json.loads(case["request"]["body"])) == case["wallet_address"]


def test_a_private_key_has_one_address() -> None:
    """Both ways of computing it, for keys with and without a prefix."""
    assert address_of(SECRET) == address_of(SECRET[2:]) == curve.address_of(SECRET) == ADDRESS


@pytest.mark.parametrize(
    "secret", ["", "0x", "0x12", "12 34" * 13, "hunter", "0x" + "0" * 64, "f" * 64, "é"]
)
def test_what_is_no_private_key_is_refused(secret: str) -> None:
    """In words that do not repeat it."""
    with pytest.raises(InvalidCommand, match="64 hexadecimal digits") as refused:
        sign(bytes(32), secret)
    assert len(secret) < 3 or secret not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": NONCE + 1},
        {"expiresAfter": NONCE},
        {"action": {"cancels": ACTION["cancels"], "type": "cancel"}},
        {"action": {**ACTION, "cancels": [{"a": 4, "o": 77_738_308}]}},
    ],
    ids=["nonce", "expiry", "order of keys", "asset"],
)
def test_everything_is_covered(changes: dict[str, object]) -> None:
    """What was changed has another signer."""
    assert signer_of(body()) == ADDRESS
    assert signer_of(body(**changes)) not in ("", ADDRESS)


def test_an_expiry_and_the_testnet_are_signed_too() -> None:
    """The simulator stands for production."""
    expires = sign(digest(ACTION, NONCE, expires_ms=NONCE + 9), SECRET)
    assert signer_of(body(expiresAfter=NONCE + 9, signature=expires)) == ADDRESS
    testnet = sign(digest(ACTION, NONCE, testnet=True), SECRET)
    assert signer_of(body(signature=testnet)) not in ("", ADDRESS)


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": None},
        {"signature": {}},
        {"signature": {"r": "0x0", "s": "0x1", "v": 27}},
        {"signature": {"r": "0x1", "s": hex(curve.N - 1), "v": 27}},
        {"signature": {"r": "0x5", "s": "0x1", "v": 27}},
        {"signature": {"r": "0x1", "s": "0x1", "v": 29}},
        {"signature": {"r": "?", "s": "0x1", "v": 27}},
        {"nonce": "1"},
        {"nonce": 1 << 64},
        {"nonce": -1},
        {"expiresAfter": "1"},
        {"action": 1.5},
    ],
)
def test_what_is_no_signature_has_no_signer(changes: dict[str, object]) -> None:
    """Nor does it end the simulator."""
    assert signer_of(body(**changes)) == ""


def test_two_implementations_agree_on_hashes_and_values() -> None:
    """Of any length, and on both sides of each length that is written otherwise."""
    rng = random.Random(1)
    for length in (0, 1, 7, 8, 134, 135, 136, 137, 271, 272, 273):
        data = rng.randbytes(length)
        assert keccak(data) == hashed(data)
    values: list[object] = [None, True, False, {"b": [1, {"a": None}]}, [1] * 15, [1] * 16]
    values += [edge + step for edge in (0, 127, 255, 65_535, 2**32 - 1) for step in (0, 1)]
    values += [2**64 - 1, "a" * 31, "a" * 32, "é" * 200, {str(n): n for n in range(17)}]
    for value in values:
        assert pack(value) == msgpack.packb(value)
    for value in (1.5, -1, 1 << 64, b""):
        with pytest.raises(ValueError, match="no value of an action"):
            pack(value)


def test_signers_are_found_of_random_keys() -> None:
    """As a library recovers them."""
    rng = random.Random(2)
    for _ in range(5):
        secret, message = rng.randbytes(32).hex(), rng.randbytes(32)
        signed: dict[str, Any] = sign(message, secret)
        numbers = int(signed["r"], 16), int(signed["s"], 16), signed["v"]
        point = PrivateKey(bytes.fromhex(secret)).public_key.format(compressed=False)[1:]
        assert curve.signer(message, *numbers) == "0x" + hashed(point)[-20:].hex()
