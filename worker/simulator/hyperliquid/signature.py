"""What is signed: an EIP-712 message of an agent, written from the standard and the SDK's tests."""

from __future__ import annotations

from worker.simulator.hyperliquid.curve import signer
from worker.simulator.hyperliquid.keccak import keccak
from worker.simulator.hyperliquid.packing import pack

_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_DOMAIN = keccak(
    b"".join(
        (
            keccak(_DOMAIN_TYPE.encode()),
            keccak(b"Exchange"),
            keccak(b"1"),
            (1337).to_bytes(32, "big"),
            (0).to_bytes(32, "big"),
        )
    )
)
_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")
_PRODUCTION = keccak(b"a")


def message_of(action: object, nonce: int, expires_ms: int | None) -> bytes:
    """Return the 32 bytes that are signed for an action of an account, without a vault.

    Raises:
        ValueError: The action cannot be packed, or a number is too large.
    """
    try:
        stamped = pack(action) + nonce.to_bytes(8, "big") + b"\0"
        if expires_ms is not None:
            stamped += b"\0" + expires_ms.to_bytes(8, "big")
    except OverflowError as error:
        raise ValueError(str(error)) from None
    agent = keccak(_AGENT_TYPE + _PRODUCTION + keccak(stamped))
    return keccak(b"\x19\x01" + _DOMAIN + agent)


def signer_of(body: dict[str, object]) -> str:
    """Return the address that signed a request; empty if none can have."""
    nonce, expires, signature = body.get("nonce"), body.get("expiresAfter"), body.get("signature")
    if not isinstance(nonce, int) or not isinstance(signature, dict):
        return ""
    if expires is not None and not isinstance(expires, int):
        return ""
    try:
        message = message_of(body.get("action"), nonce, expires)
        r, s = (int(str(signature.get(name)), 16) for name in ("r", "s"))
    except ValueError:
        return ""
    v = signature.get("v")
    return signer(message, r, s, v) if isinstance(v, int) else ""
