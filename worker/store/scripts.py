"""The Lua scripts: their text, with what each declares that it includes.

A file declares what it needs, each of which a script has once:

- `--- @constants STEP_MS LAG_SHARE` defines constants of `worker.model.constants`;
- `--- @include lib/holds` stands for that file;
- `--- @lazy lib/tending tend` defines the function `tend`, which loads that file at its first
  call. What a script defines costs time in each of its calls, also where it is not used: this
  saves a quarter of the time of a claim.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from worker.model import constants
from worker.store.full import NEW_WORK

READS = ("firings", "first", "time", "pairs")
"""Scripts that only read."""
NOT_NOTING = (*READS, "lease", "notify_commit", "notify_delivered")
"""Scripts that write nothing of shared time: they only read, or their user may not."""
_DIRECTIVE = re.compile(r"--- @(?P<verb>constants|include|lazy) (?P<names>.+)")
_LAZY = """\
local {function}
{function} = function(...)
  {function} = (function()
{body}
    return {function}
  end)()
  return {function}(...)
end"""


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A script, and the hash that Redis knows it by once it has been loaded."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> LuaScript:
        """Return the script of this text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def source(name: str) -> str:
    """Return the text of one Lua file, named without its ending."""
    return resources.files("worker.store").joinpath("lua", f"{name}.lua").read_text()


def expand(name: str, included: set[str]) -> str:
    """Return a Lua file with the files that it includes.

    Args:
        name: The file, without its ending.
        included: Files and constants that the script has already; what is added here is noted.
    """
    lines = []
    for line in source(name).splitlines():
        found = _DIRECTIVE.fullmatch(line)
        if not found:
            lines.append(line)
            continue
        names = found["names"].split()
        if found["verb"] == "lazy":
            file, function = names
            lines.append(_LAZY.format(function=function, body=expand(file, {*included})))
            continue
        for each in names:
            if each not in included:
                included.add(each)
                constant = found["verb"] == "constants"
                lines.append(_constant(each) if constant else expand(each, included))
    return "\n".join(lines)


def _constant(name: str) -> str:
    value = getattr(constants, name)
    if isinstance(value, Mapping):
        value = "{ " + ", ".join(f"['{key}'] = '{word}'" for key, word in value.items()) + " }"
    elif isinstance(value, str):
        value = f"'{value}'"
    return f"local {name} = {value}"


def whole(name: str, raw_time: str) -> str:
    """Return the whole text of a script, as Redis gets it.

    Args:
        name: The script's file, without its ending.
        raw_time: Lua that defines `raw_ms()`: `lib/raw_time`, or what a test puts in its place.
    """
    head = [
        raw_time,
        f"local WRITES = {str(name not in NOT_NOTING).lower()}",
        source("lib/memory"),
    ]
    if name not in (*NEW_WORK, *READS):
        head.append("work_on()")
    included: set[str] = set()
    return "\n".join([*head, expand("lib/call", included), expand(name, included)])
