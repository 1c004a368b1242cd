"""Keccak-256 as Ethereum uses it, from the Keccak reference: the padding is not that of SHA-3."""

from __future__ import annotations

RATE = 136
"""Bytes that are taken in at a time."""
_LANE = (1 << 64) - 1


def _round_constants() -> list[int]:
    """Return the constants of the 24 rounds, from the shift register that defines them."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << ((1 << bit) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


def _moves() -> list[tuple[int, int, int]]:
    """Return where each lane goes and how far it is turned: from, to, bits."""
    moves, x, y = [(0, 0, 0)], 1, 0
    for step in range(24):
        to_x, to_y = y, (2 * x + 3 * y) % 5
        moves.append((x + 5 * y, to_x + 5 * to_y, (step + 1) * (step + 2) // 2 % 64))
        x, y = to_x, to_y
    return moves


_CONSTANTS, _MOVES = _round_constants(), _moves()


def _permute(lanes: list[int]) -> list[int]:
    for constant in _CONSTANTS:
        columns = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        turned = [((each << 1) | (each >> 63)) & _LANE for each in columns]
        mixed = [columns[x - 1] ^ turned[(x + 1) % 5] for x in range(5)]
        moved = [0] * 25
        for source, target, bits in _MOVES:
            lane = lanes[source] ^ mixed[source % 5]
            moved[target] = ((lane << bits) | (lane >> (64 - bits))) & _LANE
        lanes = [
            moved[i] ^ (~moved[i - i % 5 + (i + 1) % 5] & moved[i - i % 5 + (i + 2) % 5])
            for i in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def keccak(data: bytes) -> bytes:
    """Return the 32 bytes of a hash."""
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % RATE))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), RATE):
        for lane in range(RATE // 8):
            at = start + 8 * lane
            lanes[lane] ^= int.from_bytes(padded[at : at + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])
