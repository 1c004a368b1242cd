"""Hyperliquid's signatures: an EIP-712 message about the hash of an action.

Needs the extra `hyperliquid`, and is imported only where something is signed. From "Signing" of
the exchange's documents and its own SDK: an action is written as msgpack in the order of its
keys; its hash is signed as the `connectionId` of an `Agent`, with the key of an API wallet.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgpack
from coincurve import PrivateKey
from Crypto.Hash import keccak

from worker.errors import InvalidCommand

PRIVATE_KEY: Final = re.compile(r"(0x)?[0-9a-fA-F]{64}")
WORD_BYTES: Final = 32
NO_VAULT: Final = b"\x00"
"""Behind the nonce: the account acts for itself."""
CHAIN_ID: Final = 1337
"""The same on the exchange's testnet."""
V_FIRST: Final = 27
PRODUCTION: Final = b"a"
TESTNET: Final = b"b"


def hashed(data: bytes) -> bytes:
    """Return the Keccak-256 hash that Ethereum uses, which is not SHA-3."""
    return keccak.new(digest_bits=256, data=data).digest()


DOMAIN: Final = hashed(
    hashed(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + hashed(b"Exchange")
    + hashed(b"1")
    + CHAIN_ID.to_bytes(WORD_BYTES, "big")
    + bytes(WORD_BYTES)
)
AGENT: Final = hashed(b"Agent(string source,bytes32 connectionId)")


def digest(
    action: dict[str, object], nonce: int, *, testnet: bool = False, expires_ms: int | None = None
) -> bytes:
    """Return the 32 bytes that are signed.

    Args:
        action: Its keys in the documented order, which counts.
        nonce: Unix ms, never used before.
        testnet: Whether it is for the exchange's testnet.
        expires_ms: Unix ms after which the exchange refuses it; None for no bound.
    """
    packed: bytes = msgpack.packb(action)
    data = packed + nonce.to_bytes(8, "big") + NO_VAULT
    if expires_ms is not None:
        data += b"\x00" + expires_ms.to_bytes(8, "big")
    source = hashed(TESTNET if testnet else PRODUCTION)
    return hashed(b"\x19\x01" + DOMAIN + hashed(AGENT + source + hashed(data)))


def sign(message: bytes, secret: str) -> dict[str, object]:
    """Return the signature of 32 bytes, as it is sent.

    The same message and key give the same signature (RFC 6979).

    Raises:
        InvalidCommand: The secret is no private key.
    """
    signed = _key(secret).sign_recoverable(message, hasher=None)
    r, s, v = signed[:WORD_BYTES], signed[WORD_BYTES : 2 * WORD_BYTES], signed[-1]
    return {"r": _hex(r), "s": _hex(s), "v": V_FIRST + v}


def address_of(secret: str) -> str:
    """Return the address that a private key signs for, in lower case.

    Raises:
        InvalidCommand: The secret is no private key.
    """
    point = _key(secret).public_key.format(compressed=False)[1:]
    return "0x" + hashed(point)[-20:].hex()


@lru_cache(maxsize=64)
def _key(secret: str) -> PrivateKey:
    wrong = InvalidCommand(
        "the API secret is no private key of 64 hexadecimal digits: paste it again"
    )
    if not PRIVATE_KEY.fullmatch(secret):
        raise wrong
    try:
        return PrivateKey(bytes.fromhex(secret.removeprefix("0x")))
    except ValueError:  # out of the curve's bounds
        raise wrong from None


def _hex(word: bytes) -> str:
    """Write a number as the exchange's SDK does, without leading zeros."""
    return hex(int.from_bytes(word, "big"))
