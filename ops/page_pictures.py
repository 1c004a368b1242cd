#!/usr/bin/env python3
"""Take the pictures of the control page in Chromium, and print its figures.

Runs a worker, Celery beat and the simulated exchanges. Run it as `uv run ops/page_pictures.py`;
with `--figures` it takes no pictures.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from tests.support.polling import eventually  # noqa: E402  found by the line above
from tests.support.web_server import Web, serving  # noqa: E402
from tests.support.webdriver import WebDriver  # noqa: E402
from tests.support.world import World, open_world  # noqa: E402
from worker import clock  # noqa: E402
from worker.errors import StoreUnavailable  # noqa: E402

IMAGES = TOP / "ops" / "docs" / "images"
SIZES = {"wide": (1280, 860), "phone": (390, 844)}
ROUNDS = 10
MANY = 1_000
JOBS, CHUNK = 50_000, 500
STATE = "return document.documentElement.dataset.state"
PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FRAMES = """
window.frames_ms = [];
let last = performance.now();
const next = (now) => {
  if (!window.frames_ms) return;
  window.frames_ms.push(now - last);
  last = now;
  requestAnimationFrame(next);
};
requestAnimationFrame(next);
"""
LATE = """
window.red_ms = null;
new MutationObserver(() => {
  if (document.documentElement.dataset.state === "bad") window.red_ms ??= Date.now();
}).observe(document.documentElement, { attributes: true });
"""
SCROLLED_S = 5


def main() -> None:
    """Take the pictures, then the figures."""
    IMAGES.mkdir(exist_ok=True)
    with visit() as (world, web, browser):
        if "--figures" not in sys.argv:
            pictures(world, web, browser)
        figures(world, web, browser)
        jobs(world, browser)


@contextmanager
def visit() -> Iterator[tuple[World, Web, WebDriver]]:
    """Open the page of a quiet system, logged in."""
    with (
        open_world() as world,
        serving(world, actions=True) as web,
        tempfile.TemporaryDirectory() as folder,
        WebDriver(Path(folder)) as browser,
    ):
        world.beat()
        world.worker()
        browser.open(f"{web.url}/")
        browser.type("#token", web.token())
        browser.press("Log in")
        until(browser, "good")
        yield world, web, browser


def pictures(world: World, web: Web, browser: WebDriver) -> None:
    """Take one picture of each state, view, size and color scheme."""
    producer = world.producer()
    orders = world.place("ev", 3)
    producer.arm("ix", pairs=["btc_idr", "eth_idr"], timeout_ms=120_000, name="grid-btc")
    producer.arm("ev", order_ids=["a1f0", "a1f1"], timeout_ms=90_000, name="maker")
    shown(browser, "2 armed")
    take(browser, "page-quiet", "phone", "light")
    producer.arm("ev", order_ids=orders, timeout_ms=1_000, name="arbitrage")
    until(browser, "bad")
    browser.press("What it canceled")
    shown(browser, orders[0])
    take(browser, "page-tripped")
    web.client().post(
        "/v1/cancels", {"account": "ev", "order_id": world.place("ev")[0]}, status=202
    )
    for view in ("jobs", "act"):
        browser.click(f'nav a[href="#{view}"]')
        browser.run("scrollTo(0, 0)")
        take(browser, f"page-{view}", "wide", "dark")
    browser.click('nav a[href="#now"]')
    browser.press("Acknowledge")
    until(browser, "good")


def take(browser: WebDriver, name: str, *only: str) -> None:
    """Save a view in every size and color scheme, or in those that are named."""
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            if not only or {size, scheme} == {*only}:
                browser.size(width, height, dark=scheme == "dark")
                browser.picture(IMAGES / f"{name}-{size}-{scheme}.png")
    browser.size(*SIZES["wide"])


def figures(world: World, web: Web, browser: WebDriver) -> None:
    """Print how long the page takes."""
    producer = world.producer()
    paints = []
    for _ in range(ROUNDS):
        browser.open(f"{web.url}/")
        paints.append(float(eventually(lambda: browser.run(PAINT), what="a first paint")))
    reds = []
    for number in range(ROUNDS):
        until(browser, "good")
        browser.run(LATE)
        switch = producer.arm("ev", order_ids=[f"red-{number}"], timeout_ms=1_000)
        until(browser, "bad")
        reds.append(float(browser.run("return window.red_ms")) - switch.deadline_ms)
        browser.press("Acknowledge")
    until(browser, "good")
    for number in range(MANY):
        producer.arm("ev", order_ids=[f"many-{number}"], timeout_ms=600_000, name=f"many-{number}")
    eventually(
        lambda: browser.run("return document.querySelectorAll('#switches > li').length") >= MANY,
        within_ms=60_000,
        what="all rows",
    )
    print_figure("first paint, ms", paints)
    print_figure("deadline to red, ms", reds)
    print_figure("frames of a quiet page, ms", frames_while(browser, lambda: clock.sleep_ms(2_000)))
    scrolled = frames_while(browser, lambda: scroll(browser))
    print_figure(f"frames while scrolling {MANY} switches, ms", scrolled)
    filtered = frames_while(browser, lambda: browser.type("#switch-filter", "many-77"))
    print_figure(f"frames while filtering {MANY} switches, ms", filtered)


def jobs(world: World, browser: WebDriver) -> None:
    """Print how the view of many jobs moves."""
    names = [f"bulk-{number:05}" for number in range(JOBS)]
    producer, left = world.producer(), names
    while left:
        with contextlib.suppress(StoreUnavailable):  # on a busy machine; again
            producer.cancel_many("bm", left[:CHUNK])
            left = left[CHUNK:]
    browser.run("scrollTo(0, 0)")

    def page() -> None:
        browser.click('nav a[href="#jobs"]')
        for shown in range(50, 501, 50):
            eventually(lambda: len_of(browser, "#jobs > li") >= shown, within_ms=60_000)  # noqa: B023
            browser.run("document.getElementById('jobs-more').click()")

    def search() -> None:
        browser.type("#search input[name=order_id]", names[700])
        browser.press("Search")

        def found() -> bool:
            # One search reads 20,000 records; the button reads on.
            browser.run(
                "const more = document.getElementById('jobs-more'); "
                "if (!more.hidden && !more.disabled) more.click()"
            )
            return len_of(browser, "#jobs > li") >= 1

        eventually(found, within_ms=60_000, pause_ms=100)

    print_figure(f"frames while paging through {JOBS} jobs, ms", frames_while(browser, page))
    scrolled = frames_while(browser, lambda: scroll(browser))
    print_figure("frames while scrolling 500 of them, ms", scrolled)
    print_figure(f"frames while searching {JOBS} jobs, ms", frames_while(browser, search))


def len_of(browser: WebDriver, selector: str) -> int:
    """Return how many elements there are."""
    return int(browser.run("return document.querySelectorAll(arguments[0]).length", selector))


def scroll(browser: WebDriver) -> None:
    """Scroll down."""
    for number in range(SCROLLED_S * 20):
        browser.run("scrollTo(0, arguments[0])", number * 400)


def frames_while(browser: WebDriver, act: Callable[[], None]) -> list[float]:
    """Return the times of all frames while something is done, in ms."""
    browser.run(FRAMES)
    act()
    frames: list[float] = browser.run("return window.frames_ms")
    browser.run("window.frames_ms = null")
    return sorted(frames)


def print_figure(name: str, values: list[float]) -> None:
    """Print median and largest value."""
    high = sorted(values)[int(len(values) * 0.99)]
    sys.stdout.write(f"{name}: median {median(values):.0f}, 99 % below {high:.0f}\n")


def until(browser: WebDriver, state: str) -> None:
    """Wait until the page has a state."""
    eventually(lambda: browser.run(STATE) == state, within_ms=60_000, what=f"the page is {state}")


def shown(browser: WebDriver, words: str) -> None:
    """Wait until the page shows a text."""
    eventually(lambda: words in browser.text(), within_ms=60_000, what=words)


if __name__ == "__main__":
    main()
