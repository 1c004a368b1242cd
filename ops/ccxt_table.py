#!/usr/bin/env python3
"""Make the table of ids in worker/exchanges/ccxt/ids.json and in ops/docs/ccxt.md.

`uv run ops/ccxt_table.py` has every exchange of the installed ccxt sign each command, with
a market that only its id is known of, and records what came out. `--check` says
what would change, and fails if anything would.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from worker.exchanges.ccxt.loading import VERSION, _stand_in  # noqa: E402
from worker.exchanges.ccxt.profile import profile_of  # noqa: E402
from worker.exchanges.ccxt.silent import (  # noqa: E402
    ODD,
    Ended,
    Pass,
    Signed,
    Template,
    body_of,
    holds,
)
from worker.exchanges.ccxt.table import CREDENTIALS  # noqa: E402
from worker.model.commands import CancelOrder, ListOpenOrders, QueryOrder  # noqa: E402

IDS = HOME / "worker" / "exchanges" / "ccxt" / "ids.json"
PAGE = HOME / "ops" / "docs" / "ccxt.md"
BEGIN, END = "<!-- table: ops/ccxt_table.py -->", "<!-- end of the table -->"
PAIR = "PAIRPAIR"
NOW_MS = 1_700_000_000_000
ORDERS = ("123456789", "0b3f3e6e-7f1c-4f0e-9a51-0e5a3c1d2b4f")
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEJxPVcvdRjMZHnZbqBdqRtpfOJrqOVS7jKSYxjIx0Yk
-----END PRIVATE KEY-----
"""
SEED = "QnE9Vy91GMxkedluoF2pG2l84muo5VLuMpJjGMjHRiQ="
HEX = "5a" * 32
KEYS: tuple[dict[str, str], ...] = (
    {"secret": HEX, "privateKey": "0x" + HEX},
    {"secret": SEED, "privateKey": PEM},
    {"secret": PEM, "privateKey": HEX},
)
COMMANDS = {"cancel": CancelOrder, "query": QueryOrder, "listing": ListOpenOrders}
METHODS: dict[str, tuple[str, tuple[str | None, ...]]] = {
    "cancel": ("cancel_order", ORDERS),
    "query": ("fetch_order", ORDERS),
    "listing": ("fetch_open_orders", (None,)),
}
OPTIONS: dict[str, dict[str, object]] = {
    "bitget": {"uta": False},
    "bitvavo": {"operatorId": 1},
    "gate": {"unifiedAccount": False},
    "gateeu": {"unifiedAccount": False},
    "kucoin": {"uta": False},
    "kucoinfutures": {"uta": False},
    "bybit": {"enableUnifiedMargin": False, "enableUnifiedAccount": True},
    "bybiteu": {"enableUnifiedMargin": False, "enableUnifiedAccount": True},
    "bybitid": {"enableUnifiedMargin": False, "enableUnifiedAccount": True},
}
"""Where ccxt would ask something first, or needs a value. A profile's options come on top."""
LOGINS = {"accountId": "uid"}
NONCE = re.compile(r"nonce\W{1,6}\d{10,}", re.IGNORECASE)
STAMPS = frozenset({"cryptocom"})
"""Their nonce is the time of day, in any order."""
OTHERS = re.compile(r"account/|accountsBy|login|system/|mode", re.IGNORECASE)
"""Requests that are no list of orders."""


def signed(template: Template, call: Callable[[Any], object], pair: str | None) -> Signed | None:
    """Return what one call signs; None if it is not one request that is complete."""
    try:
        call(template.call(Pass(now_ms=NOW_MS), pair))
    except Signed as found:
        complete = body_of(found.request) is not None and not holds(found.request, ODD)
        return found if complete else None
    except Ended:
        return None
    except Exception:  # noqa: BLE001  ccxt raises anything
        return None
    return None


def forms(
    template: Template, method: str, order_id: str | None, extra: Mapping[str, object]
) -> list[Signed | None]:
    """Return what a method signs without a pair, and with one."""

    def call(pair: str | None) -> Callable[[Any], object]:
        if order_id is None:
            return lambda made: getattr(made, method)(pair, None, None, dict(extra))
        return lambda made: getattr(made, method)(order_id, pair, dict(extra))

    made: list[Signed | None] = []
    for pair in (None, PAIR):
        found = signed(template, call(pair), pair)
        named = found and (
            holds(found.request, order_id) if order_id else not OTHERS.search(found.endpoint)
        )
        made.append(found if named else None)
    return made


def row_of(exchange_id: str) -> dict[str, Any]:
    """Return the row of an id."""
    profile = profile_of(exchange_id)
    options = {**OPTIONS.get(exchange_id, {}), **(dict(profile.options) if profile else {})}
    row: dict[str, Any] = {}
    for keys in KEYS:
        given = {
            "apiKey": "account-sample",
            "password": "sample",
            "uid": "1",
            "accountId": "1",
            "walletAddress": "0x" + "5a" * 20,
            **keys,
        }
        for kind in ("spot", "swap"):
            template = Template.of(exchange_id, given, kind=kind, options=options)
            if template.instance.has.get(kind) is False:
                continue
            found = _row(exchange_id, template, kind)
            if len(found) > len(row):
                row = found
            if row.get("cancel"):
                return row
    return row


def _row(exchange_id: str, template: Template, kind: str) -> dict[str, Any]:
    made = template.instance
    profile = profile_of(exchange_id)
    if profile and profile.accounts:
        made.accounts = [{"id": "1", "type": kind, "info": {}}]
    origin = ""
    row: dict[str, Any] = {}
    for name, (method, orders) in METHODS.items():
        for order_id in orders:
            extra = profile.params.get(COMMANDS[name], {}) if profile else {}
            asks = profile.query if profile and name == "query" else method
            plain, paired = forms(template, asks, order_id, extra)
            sent = plain or paired
            if sent is None:
                continue
            row[name] = [plain.endpoint if plain else "", paired.endpoint if paired else ""]
            if name == "cancel":
                origin = "{0.scheme}://{0.netloc}".format(urlsplit(sent.request["url"]))
                whole = json.dumps([sent.request[key] for key in ("url", "headers", "body")])
                row["nonce"] = exchange_id not in STAMPS and bool(NONCE.search(whole))
            break
    required = [name for name, needed in made.requiredCredentials.items() if needed]
    named = {ccxt: ours for ours, ccxt in CREDENTIALS.items()} | LOGINS
    options = OPTIONS.get(exchange_id, {})
    return {
        "title": str(made.name),
        "origin": origin,
        "kind": kind,
        "needs": sorted({named[name] for name in required if name in named}),
        **row,
        "gap_ms": max(1, round(float(made.rateLimit))),
        **({"options": options} if options else {}),
    }


def ids() -> Iterator[str]:
    """Yield every id of the installed ccxt."""
    _stand_in()
    for path in sorted(Path(sys.modules["ccxt"].__path__[0]).glob("*.py")):
        if path.stem != "__init__":
            yield path.stem


def text_of(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table as JSON, one id a line."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    return f'{{"version": "{VERSION}", "ids": {{\n{lines}\n}}}}\n'


def page_of(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table for the documentation."""
    head = "| Id | Signs a cancel | Asks about an order | Lists | Timer | Profiled |\n"
    lines = [head + "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        profile = profile_of(name)
        cells = [_cell(row.get(each)) for each in ("cancel", "query", "listing")]
        cells += ["yes" if profile and profile.timer else "-", "yes" if profile else "-"]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(call: list[Any] | None) -> str:
    return "-" if not call else "yes" if call[0] else "with a pair"


def main() -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    rows = {name: row_of(name) for name in ids()}
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page = f"{before}{BEGIN}\n{page_of(rows)}\n{END}{after}"
    changed = [
        str(path.relative_to(HOME))
        for path, text in ((IDS, text_of(rows)), (PAGE, page))
        if not path.exists() or path.read_text() != text
    ]
    counted = {
        name: sum(1 for row in rows.values() if row.get(name))
        for name in ("cancel", "query", "listing")
    }
    sys.stdout.write(f"{len(rows)} ids: {counted}; changed: {', '.join(changed) or 'nothing'}\n")
    if check:
        return 1 if changed else 0
    IDS.write_text(text_of(rows))
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
