"""The Lua scripts: their text, with what each declares that it includes.

A line `--- @include lib/holds` stands for that file, once in a script. A line
`--- @lazy lib/tending tend` defines the function `tend`, which loads that file at its first
call: what a script defines costs time in each of its calls, also where it is not used.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from worker.store.full import NEW_WORK

READS = ("first", "look", "time")
"""Scripts that only read."""
NOT_NOTING = (*READS, "lease")
"""Scripts that write nothing of shared time: they only read, or their user may not."""
_DIRECTIVE = re.compile(r"--- @(?P<verb>include|lazy) (?P<file>\S+)(?: (?P<function>\w+))?")
_LAZY = """\
local {function}
{function} = function(...)
  {function} = (function()
{body}
    return {function}
  end)()
  return {function}(...)
end"""


@cache
def source(name: str) -> str:
    """Return the text of one Lua file, named without its ending."""
    return resources.files("worker.store").joinpath("lua", f"{name}.lua").read_text()


def expand(name: str, included: set[str]) -> str:
    """Return a Lua file with the files that it includes.

    Args:
        name: The file, without its ending.
        included: Files that are not to be included again; those included here are added.
    """
    lines = []
    for line in source(name).splitlines():
        found = _DIRECTIVE.fullmatch(line)
        if not found:
            lines.append(line)
        elif found["verb"] == "lazy":
            body = expand(found["file"], {*included})
            lines.append(_LAZY.format(function=found["function"], body=body))
        elif found["file"] not in included:
            included.add(found["file"])
            lines.append(expand(found["file"], included))
    return "\n".join(lines)


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
    return "\n".join([*head, expand("lib/call", set()), expand(name, set())])
