"""The control page in Chromium: it turns red by itself, and acts on the exchange's books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.web_server import Web, serving
from tests.support.webdriver import WebDriver
from tests.support.world import World
from worker.client.producer import Producer

SOON_MS = 30_000
TAB, ENTER = "\ue004", "\ue007"
SHOWN = """return [...document.querySelectorAll("[data-view]")]
    .filter((it) => !it.hidden).map((it) => it.dataset.view)"""
FOCUS = "return document.activeElement.id"
STATE = "return document.documentElement.dataset.state"


@dataclass
class Scene:
    """A logged-in browser on a web process with a worker and Celery beat."""

    world: World
    web: Web
    browser: WebDriver
    producer: Producer

    def until_state(self, state: str) -> None:
        """Wait until the page shows a state, without loading it again."""
        eventually(
            lambda: self.browser.run(STATE) == state, within_ms=SOON_MS, what=f"the page is {state}"
        )

    def until_text(self, words: str) -> None:
        """Wait until the page shows a text."""
        eventually(lambda: words in self.browser.text(), within_ms=SOON_MS, what=words)

    def show(self, view: str) -> None:
        """Open a view by its link."""
        self.browser.click(f'nav a[href="#{view}"]')


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Iterator[Scene]:
    """Everything that there is to see and do."""
    with serving(world, actions=True) as web, WebDriver(tmp_path) as browser:
        world.beat()
        world.worker()
        browser.open(f"{web.url}/")
        browser.type("#token", web.token())
        browser.press("Log in")
        yield Scene(world, web, browser, world.producer())


def test_a_person_watches_and_acts(scene: Scene) -> None:
    """One visit, from quiet to a trip and back, with every kind of action."""
    scene.until_state("good")
    keys_alone_reach_every_view(scene)
    a_trip_turns_the_page_red_until_it_is_acknowledged(scene)
    a_switch_is_disarmed_by_typing(scene)
    a_scope_is_canceled_and_kept_empty_until_a_click(scene)
    everything_is_canceled(scene)
    a_dead_letter_is_discarded(scene)
    the_audit_log_has_it_all(scene)


def keys_alone_reach_every_view(scene: Scene) -> None:
    """The first key leads past the navigation; a view that is opened has the focus."""
    scene.browser.type("body", TAB)
    assert "Skip" in scene.browser.run("return document.activeElement.textContent")
    for view in ("jobs", "dead", "act", "audit", "now"):
        scene.browser.type(f'nav a[href="#{view}"]', ENTER)
        eventually(
            lambda: scene.browser.run(SHOWN) == [view],  # noqa: B023  called at once
            within_ms=SOON_MS,
            what=f"the view {view} alone is shown",
        )
        eventually(lambda: scene.browser.run(FOCUS) == "main", within_ms=SOON_MS, what="focus")


def a_trip_turns_the_page_red_until_it_is_acknowledged(scene: Scene) -> None:
    """With what it canceled, order by order; title and icon change too."""
    (order,) = scene.world.place("ev")
    scene.producer.arm("ev", order_ids=[order], timeout_ms=1_200, name="grid")
    scene.until_text("left of 1 s")
    scene.until_state("bad")
    scene.until_text("grid on ev has tripped and is not acknowledged.")
    assert scene.browser.run("return document.title").startswith("1 problem")
    assert scene.browser.run("return document.getElementById('icon').href").endswith("bad.svg")
    scene.browser.press("What it canceled")
    scene.until_text(f"order {order}")
    eventually(lambda: scene.world.status("ev", order) == "canceled", what="canceled")
    scene.until_text("1 canceled")
    scene.browser.press("Acknowledge")
    scene.until_state("good")
    assert scene.browser.run("return document.title").startswith("No problems found")


def a_switch_is_disarmed_by_typing(scene: Scene) -> None:
    """The button works once the word is there; the dialog holds the focus."""
    scene.producer.arm("ev", order_ids=["kept"], timeout_ms=600_000, name="typed")
    scene.browser.press("Disarm")
    scene.until_text("Type disarm to confirm")
    assert scene.browser.run("return document.querySelector('dialog button.danger').disabled")
    scene.browser.type("dialog input", "disarm")
    scene.browser.click("dialog button.danger")
    scene.until_text("typed is disarmed")


def a_scope_is_canceled_and_kept_empty_until_a_click(scene: Scene) -> None:
    """Its end is reported once the hold has ended."""
    orders = scene.world.place("ev", 2)
    scene.show("act")
    scene.browser.run("document.querySelectorAll('#act form')[1].account.value = 'ev'")
    scene.browser.run("document.querySelectorAll('#act form')[1].hold_ms.value = '3600000'")
    scene.browser.press("Cancel all…")
    scene.browser.press("Cancel all")
    eventually(lambda: {scene.world.status("ev", order) for order in orders} == {"canceled"})
    scene.show("jobs")
    scene.until_text("End hold")
    scene.browser.press("End hold")
    scene.until_text("the scope on ev")


def everything_is_canceled(scene: Scene) -> None:
    """The page says which account was left out, and why."""
    (order,) = scene.world.place("ev")
    scene.show("act")
    scene.browser.press("Cancel everything…")
    scene.browser.press("Cancel everything")
    scene.until_text("bm was left out")
    eventually(lambda: scene.world.status("ev", order) == "canceled")


def a_dead_letter_is_discarded(scene: Scene) -> None:
    """A problem while it is there."""
    scene.world.ledger().bury(reason="<b>not a message</b>", raw="x")
    scene.until_state("bad")
    scene.show("dead")
    scene.until_text("<b>not a message</b>")
    scene.browser.press("Choose all shown")
    scene.browser.press("Discard 1")
    scene.browser.press("Discard")
    scene.until_text("There are none.")
    scene.until_state("good")


def the_audit_log_has_it_all(scene: Scene) -> None:
    """Who, what, from where."""
    scene.show("audit")
    scene.until_text("discard")
    text = scene.browser.text()
    for action in ("login", "acknowledge", "disarm", "cancel-all", "end-hold", "panic", "discard"):
        assert action in text
    assert "by the page, from 127.0.0.1" in text
