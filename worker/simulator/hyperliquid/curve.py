"""Whose signature it is: secp256k1 with a recovery bit, from SEC 1 and SEC 2.

Points are (x, y, z), standing for (x/z², y/z³); z is 0 for the point at infinity.
"""

from __future__ import annotations

from functools import lru_cache

from worker.simulator.hyperliquid.keccak import keccak

P = 2**256 - 2**32 - 977
"""The field's prime."""
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""How many points there are."""
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    1,
)
Point = tuple[int, int, int]
_NOWHERE: Point = (0, 1, 0)


def _double(point: Point) -> Point:
    x, y, z = point
    if not y or not z:
        return _NOWHERE
    y2 = y * y % P
    s, m = 4 * x * y2 % P, 3 * x * x % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * y2 * y2) % P, 2 * y * z % P


def _add(one: Point, other: Point) -> Point:
    if not one[2]:
        return other
    if not other[2]:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, other
    z1z1, z2z2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * z2z2 % P, x2 * z1z1 % P
    s1, s2 = y1 * z2 * z2z2 % P, y2 * z1 * z1z1 % P
    h, r = (u2 - u1) % P, (s2 - s1) % P
    if not h:
        return _NOWHERE if r else _double(one)
    h2 = h * h % P
    h3, v = h * h2 % P, u1 * h2 % P
    x3 = (r * r - h3 - 2 * v) % P
    return x3, (r * (v - x3) - s1 * h3) % P, h * z1 * z2 % P


def _sum(a: int, one: Point, b: int, other: Point) -> Point:
    """Return a times one point and b times another."""
    both, found = _add(one, other), _NOWHERE
    for bit in range(255, -1, -1):
        found = _double(found)
        match a >> bit & 1, b >> bit & 1:
            case 1, 1:
                found = _add(found, both)
            case 1, 0:
                found = _add(found, one)
            case 0, 1:
                found = _add(found, other)
            case _:
                pass
    return found


def _address(point: Point) -> str:
    x, y, z = point
    inverse = pow(z, -1, P)
    x, y = x * inverse**2 % P, y * inverse**3 % P
    return "0x" + keccak(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[-20:].hex()


@lru_cache(maxsize=256)
def address_of(secret: str) -> str:
    """Return the address of a private key; empty for what is none."""
    try:
        number = int(secret, 16)
    except ValueError:
        return ""
    return _address(_sum(number, G, 0, G)) if 0 < number < N else ""


def signer(message: bytes, r: int, s: int, v: int) -> str:
    """Return the address that signed 32 bytes; empty if no key can have."""
    if not (0 < r < N and 0 < s <= N // 2 and v in (27, 28)):
        return ""
    y = pow(r**3 + 7, (P + 1) // 4, P)
    if (y * y - r**3 - 7) % P:
        return ""
    if y % 2 != v - 27:
        y = P - y
    inverse = pow(r, -1, N)
    z = int.from_bytes(message, "big")
    point = _sum(-z * inverse % N, G, s * inverse % N, (r, y, 1))
    return _address(point) if point[2] else ""
