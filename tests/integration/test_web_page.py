"""The control page: its login, what protects it, and what it may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest
import requests

from tests.support.web_server import Web, serving
from tests.support.world import World
from worker.model.authority import Verb
from worker.simulator import Simulator
from worker.store.api_tokens import ApiTokens, Rate
from worker.store.embedded import EmbeddedRedis, own_port
from worker.store.switches import Switches
from worker.store.trips import Trips

COOKIE = "session"
STATIC = resources.files("worker.web.page") / "static"
CANCEL = {"account": "ev", "order_id": "by-hand"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process whose page may act."""
    folder = tmp_path_factory.mktemp("web")
    with (
        EmbeddedRedis(folder / "redis") as redis,
        Simulator(seed=7) as sim,
        serving(World(sim, redis.url, folder), actions=True) as made,
    ):
        made.server.parts.wrong = Rate(per_s=100, burst=100)
        yield made


@dataclass
class Visitor:
    """A browser's requests, without its scripts."""

    url: str
    session: requests.Session

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Make a request; redirects are not followed."""
        return self.session.request(
            method, self.url + path, allow_redirects=False, timeout=20, **options
        )

    def log_in(self, token: str, **headers: str) -> requests.Response:
        """Send the login form."""
        return self.ask("POST", "/login", data={"token": token}, headers=headers)

    def boot(self) -> dict[str, Any]:
        """Return what the page's scripts are given."""
        found = re.search(r'id="boot">(.*?)</script>', self.ask("GET", "/").text)
        assert found is not None
        boot: dict[str, Any] = json.loads(found[1])
        return boot

    @property
    def cookie(self) -> str | None:
        """The session's secret."""
        return self.session.cookies.get(COOKIE)


def visitor(web: Web, *verbs: Verb, accounts: tuple[str, ...] = ()) -> Visitor:
    """Return a visitor who is logged in with a new token."""
    made = Visitor(web.url, requests.Session())
    assert made.log_in(web.token(*verbs, accounts=accounts)).status_code == 303
    return made


def test_without_a_login_the_page_shows_the_login_alone(web: Web) -> None:
    """A wrong token shows why, and the form keeps nothing of it."""
    made = Visitor(web.url, requests.Session())
    first = made.ask("GET", "/")
    assert (first.status_code, first.headers["Location"]) == (303, "/login")
    assert "Token" in made.ask("GET", "/login").text
    wrong = made.log_in("<b>not-a-token</b>")
    assert wrong.status_code == 401
    assert "No such token" in wrong.text
    assert "not-a-token" not in wrong.text
    blind = made.log_in(web.token(Verb.CANCEL))
    assert blind.status_code == 403
    assert made.cookie is None
    assert made.ask("GET", "/v1/status").status_code == 401


def test_the_page_shows_the_state_at_once_and_loads_nothing_from_outside(web: Web) -> None:
    """Its first line is there without a script; every address is its own."""
    made = visitor(web)
    reply = made.ask("GET", "/")
    assert "No worker is running" in reply.text
    assert 'data-state="bad"' in reply.text
    policy = reply.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert reply.headers["X-Frame-Options"] == "DENY"

    class Links(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            """Note addresses and inline code."""
            given = dict(attrs)
            assert not [name for name in given if name.startswith("on") or name == "style"]
            assert tag != "style"
            if tag == "script":
                assert given.get("src") or given["type"] == "application/json"
            self.found += [str(given[name]) for name in ("src", "href") if name in given]

    links = Links()
    links.found = []
    links.feed(reply.text)
    assert links.found
    assert {link[0] for link in links.found} <= {"/", "#"}
    for file in STATIC.iterdir():
        served = made.ask("GET", f"/static/{file.name}")
        assert served.status_code == 200
        assert served.headers["Cache-Control"] == "no-cache"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", served.text)
    assert made.ask("GET", "/static/../routes.py").status_code == 404
    assert made.ask("GET", "/static/%2e%2e/routes.py").status_code == 404


def test_a_session_is_new_with_each_login_and_ends_with_its_token(web: Web) -> None:
    """A secret that an attacker has set opens nothing."""
    made = Visitor(web.url, requests.Session())
    made.session.cookies.set(COOKIE, "fixed-by-an-attacker")
    token = web.token()
    reply = made.log_in(token)
    flags = reply.headers["Set-Cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    first = reply.cookies.get(COOKIE)
    assert first not in (None, "fixed-by-an-attacker")
    second = made.log_in(token).cookies.get(COOKIE)
    assert second != first
    store = web.world.store()
    names: Any = store.client.keys("*")
    assert not [name for name in names if str(second) in name]

    one = visitor(web)
    csrf = one.boot()["csrf"]
    assert one.ask("POST", "/logout", data={"csrf": "wrong"}).status_code == 303
    one.session.cookies.set(COOKIE, str(one.cookie))
    other = visitor(web)
    kept = str(other.cookie)
    assert other.ask("POST", "/logout", data={"csrf": csrf}).status_code == 303
    other.session.cookies.clear()
    other.session.cookies.set(COOKIE, kept)
    assert other.ask("GET", "/v1/status").status_code == 200, "another session's word counts not"
    other.ask("POST", "/logout", data={"csrf": other.boot()["csrf"]})
    other.session.cookies.set(COOKIE, kept)
    assert other.ask("GET", "/v1/status").status_code == 401

    last = visitor(web)
    assert ApiTokens(web.world.store()).revoke(f"t{web.made}")
    assert last.ask("GET", "/v1/status").status_code == 401
    assert last.ask("GET", "/").headers["Location"] == "/login"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_cannot_open_a_session(web: Web, headers: dict[str, str]) -> None:
    """Even with a token that it has."""
    made = Visitor(web.url, requests.Session())
    assert made.log_in(web.token(), **headers).status_code in (403, 421)
    assert made.cookie is None


def test_an_action_needs_the_word_of_its_page(web: Web) -> None:
    """The cookie alone, which a browser sends for any site, changes nothing."""
    made = visitor(web)
    boot = made.boot()
    for headers in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": visitor(web).boot()["csrf"]}):
        reply = made.ask("POST", "/v1/cancels", json=CANCEL, headers=headers)
        assert reply.status_code == 403
    done = made.ask("POST", "/v1/cancels", json=CANCEL, headers={"X-CSRF-Token": boot["csrf"]})
    assert done.status_code == 202
    (entry, *_) = made.ask("GET", "/v1/audit").json()["entries"]
    assert (entry["via"], entry["action"], entry["status"]) == ("page", "cancel", 202)


def test_a_page_has_the_rights_of_its_token(web: Web) -> None:
    """No more verbs, no more accounts."""
    made = visitor(web, Verb.READ, Verb.CANCEL, accounts=("ix",))
    boot = made.boot()
    assert boot["verbs"] == ["cancel", "read"]
    assert boot["accounts"] == ["ix"]
    headers = {"X-CSRF-Token": boot["csrf"]}
    assert made.ask("POST", "/v1/cancels", json=CANCEL, headers=headers).status_code == 403
    assert made.ask("DELETE", "/v1/switches/x", headers=headers).status_code == 403


def test_a_page_acts_only_where_that_is_allowed(web: Web) -> None:
    """By default it shows, and says how to allow more; the API is not affected."""
    with serving(web.world) as calm:
        calm.made = 1_000
        made = visitor(calm)
        boot = made.boot()
        assert (boot["actions"], boot["verbs"]) == (False, ["read"])
        reply = made.ask("POST", "/v1/cancels", json=CANCEL, headers={"X-CSRF-Token": boot["csrf"]})
        assert reply.status_code == 403
        assert "set web.actions = true" in reply.json()["detail"]
        calm.client().post("/v1/cancels", CANCEL, status=202)


def _elsewhere(world: World) -> World:
    """Return the world on another database: wrong tokens count in all processes of one."""
    return replace(world, redis_url=f"{world.redis_url.rpartition('/')[0]}/1")


def test_guessing_at_the_login_is_slowed(web: Web) -> None:
    """After ten wrong tokens an address must wait, whatever it sends."""
    with serving(_elsewhere(web.world)) as slow:
        slow.server.parts.wrong = Rate(per_s=0.001, burst=10)
        made = Visitor(slow.url, requests.Session())
        codes = [made.log_in(f"guess-{n}").status_code for n in range(11)]
        assert codes == [401] * 10 + [429]
        reply = made.log_in(slow.token())
        assert reply.status_code == 429
        assert int(reply.headers["Retry-After"]) >= 1


def test_while_redis_is_down_the_page_says_so(web: Web) -> None:
    """And comes back by itself."""
    world = World(web.world.sim, f"redis://127.0.0.1:{own_port()}/0", web.world.folder)
    with serving(world) as lost:
        made = Visitor(lost.url, requests.Session())
        made.session.cookies.set(COOKIE, "any")
        reply = made.ask("GET", "/")
        assert reply.status_code == 503
        assert "Redis does not answer" in reply.text
        assert reply.headers["Refresh"] == "3"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, r"s\d on ev has tripped and is not acknowledged\."),
        (2, r"s\d on ev and s\d on ev have tripped and are not acknowledged\."),
        (3, r"s\d on ev, s\d on ev and s\d on ev have tripped and are not acknowledged\."),
        (5, r"(s\d on ev, ){2}s\d on ev and 2 more have tripped and are not acknowledged\."),
    ],
)
def test_the_first_line_names_what_has_tripped(web: Web, count: int, words: str) -> None:
    """The latest of many, and how many more."""
    store, producer = web.world.store(), web.world.producer()
    for n in range(count):
        switch = producer.arm("ev", order_ids=[f"o{n}"], timeout_ms=60_000, name=f"s{n}")
        record = Switches(store).get(switch.id)
        assert record is not None
        Trips(store).add(record)
    client = web.client()
    status = client.get("/v1/status")
    for trip in status["trips"]:
        client.post(f"/v1/switches/{trip['id']}/ack", status=204)
    assert re.fullmatch(words, status["problems"][0]), status["problems"]


def test_a_trip_stays_until_it_is_acknowledged(web: Web) -> None:
    """It is a problem until then, for those who see its account."""
    store = web.world.store()
    producer = web.world.producer()
    switch = producer.arm("ev", order_ids=["trip-1"], timeout_ms=60_000, name="grid")
    record = Switches(store).get(switch.id)
    assert record is not None
    trips = Trips(store)
    trips.add(record)
    trips.add(record)
    client, other = web.client(), web.client(accounts=("ix",))
    seen = client.get("/v1/status")
    assert [(trip["id"], trip["name"]) for trip in seen["trips"]] == [(switch.id, "grid")]
    assert seen["problems"][0] == "grid on ev has tripped and is not acknowledged."
    assert other.get("/v1/status")["trips"] == []
    path = f"/v1/switches/{switch.id}/ack"
    other.post(path, status=403)
    assert len(trips.every()) == 1
    client.post(path, status=204)
    client.post(path, status=404)
    assert client.get("/v1/status")["trips"] == []
