"""What is fuzzed: a check that takes any bytes, and examples to start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of hostile input.

    Attributes:
        check: Fails, with any exception, if the program mishandles the bytes.
        corpus: Good examples.
        words: Pieces that mean something where this input is read.
        head: Bytes at the front that choose among cases; the rest is the input.
        finish: Called after the last input, to check what only shows at the end.
    """

    check: Callable[[bytes], None]
    corpus: Sequence[bytes]
    words: Sequence[bytes] = ()
    head: int = 0
    finish: Callable[[], None] = lambda: None
