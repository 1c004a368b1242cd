#!/usr/bin/env python3
"""Have axe look at every view of the control page, in Chromium.

axe-core is an npm package, and no part of this project:

    npm install --prefix ~/.cache/cancel-worker/axe axe-core@4
    uv run ops/page_axe.py

Exits with 1 if it finds anything serious or critical. Each view is looked at in light and dark,
wide and on a phone, with a trip, a dead letter and an open dialog.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from ops.page_pictures import SIZES, shown, until, visit  # noqa: E402  found by the line above
from tests.support.webdriver import WebDriver  # noqa: E402

AXE = Path.home() / ".cache/cancel-worker/axe/node_modules/axe-core/axe.min.js"
RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  (found) => done(JSON.stringify(found.violations.map((it) => ({
    id: it.id, impact: it.impact, help: it.help, nodes: it.nodes.map((node) => node.html)
  })))),
  (error) => done(JSON.stringify([{ id: "axe", impact: "critical", help: `${error}`, nodes: [] }])),
);
"""
VIEWS = ("now", "jobs", "dead", "act", "audit")
GRAVE = ("serious", "critical")


def main() -> None:
    """Look at all views; print what was found."""
    if not AXE.exists():
        sys.exit(f"{AXE} is missing; see the head of this file")
    grave = 0
    with visit() as (world, _, browser):
        producer = world.producer()
        producer.arm("ix", pairs=["btc_idr"], timeout_ms=600_000, name="grid-btc")
        producer.arm("ev", order_ids=world.place("ev", 3), timeout_ms=1_000, name="arbitrage")
        world.ledger().bury(reason="not a message", raw="x")
        until(browser, "bad")
        shown(browser, "Rate limits")
        for name, found in looks(browser):
            for it in found:
                grave += it["impact"] in GRAVE
                where = "; ".join(it["nodes"][:3])
                sys.stdout.write(f"{name}: {it['impact']}: {it['id']}: {it['help']}: {where}\n")
    sys.stdout.write(f"{grave} serious or critical findings\n")
    sys.exit(grave > 0)


def looks(browser: WebDriver) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield what axe finds in each view, size and color scheme."""
    browser.run(AXE.read_text())
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            browser.size(width, height, dark=dark)
            scheme = f"{size}, {'dark' if dark else 'light'}"
            for view in VIEWS:
                browser.click(f'nav a[href="#{view}"]')
                yield f"{view}, {scheme}", look(browser)
            browser.click('nav a[href="#now"]')
            browser.press("Disarm")
            yield f"dialog, {scheme}", look(browser)
            browser.press("Back")


def look(browser: WebDriver) -> list[dict[str, Any]]:
    """Return what axe finds now."""
    found: list[dict[str, Any]] = json.loads(browser.run_async(RUN))
    return found


if __name__ == "__main__":
    main()
