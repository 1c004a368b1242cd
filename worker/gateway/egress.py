"""Which of this host's addresses an exchange sees where none is set."""

from __future__ import annotations

import socket
from dataclasses import replace
from urllib.parse import urlsplit

from worker.config.accounts import plain_address
from worker.gateway.account import AccountSession
from worker.model.commands import Command
from worker.model.limits import Rule

ANY_IP = "any"
"""Budget of accounts without an `egress_ip`: one for all of them, wherever
their workers run, since two machines may share an address."""


def default_sources(url: str) -> set[str]:
    """Return the local addresses that this host reaches a URL from; nothing is sent.

    Empty if its name cannot be resolved, or no route leads there. Behind an address
    translation or a proxy the exchange sees another one, which cannot be known here.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = set()
    try:
        places = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_DGRAM)
    except OSError:
        return set()
    for family, kind, protocol, _, address in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(address)
                found.add(plain_address(probe.getsockname()[0].partition("%")[0]))
        except OSError:
            continue
    return found


def at_default_address(lane: AccountSession) -> AccountSession:
    """Return an account that also counts against `ANY_IP` if its `egress_ip` is the default.

    Accounts without one send from there too. What cannot be found out is taken to be so.
    """
    ending = f":{lane.egress_ip}"
    by_address = [rule for _, rule in lane.rules if rule.key.endswith(ending)]
    if lane.egress_ip is None or not by_address:
        return lane
    sources = default_sources(lane.access.base_url)
    if sources and lane.egress_ip not in sources:
        return lane

    def both(
        rules: tuple[tuple[type[Command], Rule], ...],
    ) -> tuple[tuple[type[Command], Rule], ...]:
        """Return rules, and those by address once more for the default one."""
        return rules + tuple(
            (kind, replace(rule, key=rule.key.removesuffix(ending) + f":{ANY_IP}"))
            for kind, rule in rules
            if rule.key.endswith(ending)
        )

    return replace(lane, rules=both(lane.rules), whole=both(lane.whole))
