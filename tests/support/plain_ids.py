"""Names of parametrized tests that stay the same however often they are collected."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a name without backslashes or anything that pytest writes with one.

    It escapes given names again with each collection in one process, so that the
    tests of a mutation run would not be found by the names of the first.
    """
    return text.encode("ascii", "backslashreplace").decode().replace("\\", "/")
