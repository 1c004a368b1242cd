"""The HTTP API on a real Redis: what each call does, and what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.support.ledgers import Verb as Ending
from tests.support.manual_jobs import Hand
from tests.support.web_server import Client, Web, serving
from tests.support.world import KEYS, World
from worker.model.authority import HookScope, Verb
from worker.model.outcomes import Outcome
from worker.simulator import Simulator
from worker.store.api_tokens import ApiTokens
from worker.store.embedded import EmbeddedRedis, own_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process for all tests here."""
    folder = tmp_path_factory.mktemp("web")
    with (
        EmbeddedRedis(folder / "redis") as redis,
        Simulator(seed=7) as sim,
        serving(World(sim, redis.url, folder, aliases=(*KEYS, "bn"))) as made,
    ):
        yield made


@pytest.fixture
def web(server: Web) -> Web:
    """It, on an empty Redis."""
    server.world.store().client.flushall()
    return server


@pytest.fixture
def client(web: Web) -> Client:
    """A client that may do everything."""
    return web.client()


@pytest.fixture
def hand(web: Web) -> Hand:
    """Jobs ended by hand."""
    return Hand(web.world)


def test_a_cancel_is_recorded_before_it_is_answered(web: Web, client: Client) -> None:
    """The same order again, while pending, is the same job."""
    call = {"account": "ev", "order_id": "first"}
    made = client.post("/v1/cancels", call, status=202)
    again = client.post("/v1/cancels", call, status=202)
    assert (made["state"], made["fresh"], again["fresh"]) == ("pending", True, False)
    assert made["id"] == again["id"]
    job = web.world.ledger().get(made["id"])
    assert job is not None
    assert (job.account, job.order_id) == ("ev", "first")


def test_many_cancels_keep_their_order_and_are_all_or_none(web: Web, client: Client) -> None:
    """Orders of several pairs; one that is wrong enqueues none."""
    orders = [
        {"order_id": "m1", "pair": "btc_idr", "side": "buy"},
        {"order_id": "m2", "pair": "eth_idr", "side": "sell"},
        {"order_id": "m3"},
    ]
    both = {"pair": "btc_idr", "side": "buy"}
    made = client.post("/v1/cancels", {"account": "ix", "orders": orders, **both}, status=202)
    assert [each["order_id"] for each in made] == ["m1", "m2", "m3"]
    jobs = [web.world.ledger().get(each["id"]) for each in made]
    assert [job and job.pair for job in jobs] == ["btc_idr", "eth_idr", "btc_idr"]
    ours = {"account": "bn", "client_order_id": "my-1", "pair": "BTCUSDT"}
    assert client.post("/v1/cancels", ours, status=202)["client_order_id"] == "my-1"
    assert client.get("/v1/jobs", order_id="my-1")["jobs"][0]["order_id"] is None
    wrong = [{"order_id": "m4", **both}, {"order_id": "m5"}]
    told = client.post("/v1/cancels", {"account": "ix", "orders": wrong}, status=400)
    assert "indodax needs the pair" in told["detail"]
    assert client.get("/v1/jobs", order_id="m4")["jobs"] == []


@pytest.mark.parametrize(
    ("path", "call", "status", "words"),
    [
        ("/v1/cancels", {"account": "nosuch", "order_id": "a"}, 404, "unknown account 'nosuch'"),
        ("/v1/cancels", {"account": "ev"}, 400, "give order_id or client_order_id for one order"),
        ("/v1/cancels", {"account": "ev", "order_id": "a", "orders": []}, 400, "orders"),
        ("/v1/cancels", {"account": "ev", "order_id": 5}, 400, "order_id: "),
        ("/v1/cancels", {"account": "ev", "order_id": "a", "sid": "buy"}, 400, "sid: "),
        ("/v1/cancels", [], 400, "valid dictionary"),
        ("/v1/cancel-all", {"account": "bm", "side": "up"}, 400, "side: "),
        ("/v1/cancel-all", {"account": "bm", "stops": "lose"}, 400, "stops: "),
        ("/v1/cancel-all", {"account": "ev", "client_id_prefix": "g"}, 400, "client order ids"),
        ("/v1/switches", {"account": "ev", "timeout_ms": 60_000}, 400, "pairs"),
        ("/v1/switches", {"account": "ev", "pairs": ["a"], "timeout_ms": 1}, 400, "timeout_ms"),
        ("/v1/switches/nosuch/beat", {}, 404, "`cancel-worker switches` lists the switches"),
    ],
)
def test_a_wrong_call_is_a_problem_with_the_text_of_the_command_line(
    client: Client, path: str, call: Any, status: int, words: str
) -> None:
    """Nothing of it is done."""
    reply = client.call("POST", path, call)
    assert reply.status_code == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert words in problem["detail"]
    assert problem["status"] == status
    assert problem["type"].startswith("urn:cancel-worker:")


def test_a_long_poll_is_answered_when_the_job_ends(client: Client, hand: Hand) -> None:
    """And without an end when the time is up."""
    job_id = hand.pending("polled")
    assert client.get(f"/v1/jobs/{job_id}", wait_ms=1)["state"] == "pending"
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(client.get(f"/v1/jobs/{job_id}", wait_ms=20_000))
    )
    waiting.start()
    hand.end(job_id, Ending.DONE, Outcome.CANCELED)
    waiting.join()
    (job,) = answers
    assert (job["state"], job["outcome"], job["attempts"]) == ("done", "CANCELED", 1)
    assert client.get("/v1/jobs/nosuch", status=404)["type"] == "urn:cancel-worker:unknown-job"


def test_jobs_are_found_page_by_page(client: Client, hand: Hand) -> None:
    """By state, outcome, order and account; every one once."""
    done = [hand.done(f"done-{n}") for n in range(3)]
    dead = [hand.dead(f"dead-{n}") for n in range(2)]
    pending = [hand.pending(f"paged-{n}") for n in range(3)]
    found: list[str] = []
    cursor = None
    while True:
        page = client.get("/v1/jobs", account="ev", limit=2, cursor=cursor)
        found += [job["id"] for job in page["jobs"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert set(found) >= {*pending, *done, *dead}
    assert len(found) == len(set(found))
    (one,) = client.get("/v1/jobs", order_id="done-1")["jobs"]
    assert one["id"] == done[1]
    assert {job["state"] for job in client.get("/v1/jobs", state="dead")["jobs"]} == {"dead"}
    assert {job["id"] for job in client.get("/v1/jobs", outcome="REJECTED")["jobs"]} == {*dead}
    assert client.get("/v1/jobs", newer_than=2**50)["jobs"] == []
    assert "cursor" in client.get("/v1/jobs", status=400, cursor="nonsense")["detail"]


def test_the_life_of_a_switch(web: Web, client: Client) -> None:
    """Arm, beat by token and by address, track, take over, disarm."""
    call = {"account": "ev", "order_ids": ["s1"], "timeout_ms": 60_000}
    made = client.post("/v1/switches", call, status=201)
    path = f"/v1/switches/{made['id']}"
    assert client.post(f"{path}/beat", {"epoch": 1}, status=200)["left_ms"] > 50_000
    assert Client(web.url).post(made["beat_url"], status=200)["left_ms"] > 50_000
    now_ms = client.get(path)["beat_ms"]
    past = client.post(f"{path}/beat", {"sent_ms": now_ms - 30_000}, status=200)
    assert past["left_ms"] > 50_000, "the deadline is never moved back"
    late = Client(web.url).post(f"{made['beat_url']}?sent_ms={now_ms - 90_000}", status=409)
    assert late["type"] == "urn:cancel-worker:late-heartbeat"
    assert client.post(f"{path}/track", {"order_ids": ["s2"]}, status=200) == {"tracked": 1}
    assert client.get(path)["order_ids"] == ["s1", "s2"]
    assert client.post(f"{path}/untrack", {"order_ids": ["s2"]}, status=200) == {"tracked": 1}
    overlap = {**call, "order_ids": ["s1", "s9"]}
    assert "covers part" in client.post("/v1/switches", overlap, status=409)["detail"]

    assert client.post("/v1/switches", call, status=201)["epoch"] == 2
    for taken in (Client(web.url).post(made["beat_url"], status=409),):
        assert taken["type"] == "urn:cancel-worker:switch-replaced"
        assert "to take it back, arm the same scope" in taken["detail"]
    client.delete(path, epoch=1, status=409)
    client.delete(path, epoch=2)
    gone = client.post(f"{path}/beat", status=409)
    assert gone["type"] == "urn:cancel-worker:switch-disarmed"
    (listed,) = client.get("/v1/switches", account="ev", state="disarmed")["switches"]
    assert listed["id"] == made["id"]


def test_a_key_answers_a_repeated_call_without_running_it(web: Web, client: Client) -> None:
    """For the same call alone; refusals are not kept; no secret is stored."""
    key = {"Idempotency-Key": "k-1"}
    call = {"account": "ev", "order_ids": ["k1"], "timeout_ms": 60_000}
    first = client.post("/v1/switches", call, status=201, headers=key)
    again = client.post("/v1/switches", call, status=201, headers=key)
    assert {**first, "beat_url": ""} == {**again, "beat_url": ""}
    assert client.get(f"/v1/switches/{first['id']}")["epoch"] == 1
    for shown in (first, again):
        Client(web.url).post(shown["beat_url"], status=200)
    other = {**call, "order_ids": ["k2"]}
    told = client.post("/v1/switches", other, status=400, headers=key)
    assert "used for another call" in told["detail"]
    assert web.client().post("/v1/switches", other, status=201, headers=key)["epoch"] == 1
    wrong = {"account": "ev"}
    client.post("/v1/cancels", wrong, status=400, headers={"Idempotency-Key": "k-2"})
    right = {"account": "ev", "order_id": "k3"}
    client.post("/v1/cancels", right, status=202, headers={"Idempotency-Key": "k-2"})
    store = web.world.store()
    names: Any = store.client.keys("cx:web:idempotency:*")
    kept = [str(store.client.get(name)) for name in names]
    assert len(kept) >= 3
    assert not [text for text in kept if "cwb_" in text]


def test_dead_letters_are_listed_replayed_and_discarded(client: Client, hand: Hand) -> None:
    """A job that is not dead is none of them."""
    first, second, alive = hand.dead("r1"), hand.dead("r2"), hand.pending("r3")
    listed = client.get("/v1/dead-letters", limit=500)["jobs"]
    assert {first, second} <= {job["id"] for job in listed}
    made = client.post(f"/v1/dead-letters/{first}/replay", status=202)
    assert client.get(f"/v1/jobs/{made['id']}")["parent"] == first
    client.delete(f"/v1/dead-letters/{second}")
    for path in (second, alive, "nosuch"):
        assert "no dead letter" in client.delete(f"/v1/dead-letters/{path}", status=404)["detail"]
    left = {job["id"] for job in client.get("/v1/dead-letters", limit=500)["jobs"]}
    assert not {first, second} & left


def test_the_audit_log_has_who_what_and_from_where(client: Client) -> None:
    """Of calls that changed something, and of those that were refused."""
    client.post("/v1/cancels", {"account": "ev", "order_id": "audited"}, status=202)
    client.post("/v1/cancel-all", {"account": "nosuch"}, status=404)
    refused, done, *_ = client.get("/v1/audit")["entries"]
    assert (done["action"], done["target"], done["account"]) == ("cancel", "audited", "ev")
    assert (done["via"], done["source"], done["status"]) == ("api", "127.0.0.1", 202)
    assert (refused["action"], refused["status"]) == ("cancel-all", 404)


def test_events_begin_with_the_state_and_x(client: Client) -> None:
    """A switch that is armed later arrives; then the fields that change."""
    reply = client.call("GET", "/v1/events", stream=True)
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    events = _events(reply)
    name, status = next(events)
    assert name == "status"
    assert "No worker is running" in status["problems"][0]
    call = {"account": "ev", "order_ids": ["live"], "timeout_ms": 60_000}
    made = client.post("/v1/switches", call, status=201)
    assert _change(events, made["id"])["state"] == "armed"
    client.post(f"/v1/switches/{made['id']}/beat", status=200)
    assert set(_change(events, made["id"])) <= {"id", "left_ms", "deadline_ms", "beat_ms"}
    client.delete(f"/v1/switches/{made['id']}")
    assert _change(events, made["id"])["state"] == "disarmed"
    reply.close()


def _events(reply: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in reply.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _change(events: Iterator[tuple[str, dict[str, Any]]], switch_id: str) -> dict[str, Any]:
    for name, data in events:
        for changed in data["changed"] if name == "switches" else ():
            if changed["id"] == switch_id:
                found: dict[str, Any] = changed
                return found
    raise AssertionError("the stream has ended")


def test_a_webhook_cancels_its_scope_and_nothing_else(web: Web) -> None:
    """Whatever its body says; its secret opens no other call."""
    made = ApiTokens(web.world.store()).create("tv", now_ms=1, hook=HookScope("ev", "btc_idr"))
    assert made is not None
    reply = Client(web.url).call("POST", f"/v1/hooks/{made}", {"account": "ix", "pair": "x"})
    assert reply.status_code == 202
    (job,) = reply.json()["jobs"]
    known = web.world.ledger().get(job["id"])
    assert known is not None
    assert (known.kind, known.account, known.pair) == ("cancel_all", "ev", "btc_idr")
    Client(web.url, made).get("/v1/status", status=401)
    Client(web.url).post(f"/v1/hooks/{web.token()}", status=401)
    (entry, *_) = web.client().get("/v1/audit")["entries"]
    assert (entry["who"], entry["via"], entry["account"]) == ("tv", "hook", "ev")


def test_each_token_has_a_limit_of_its_own(web: Web) -> None:
    """In all processes together; the next call is refused, and others continue."""
    few: Any = {"requests_per_s": 1}
    with serving(web.world, **few) as small, serving(web.world, **few) as second:
        token, other = small.token(), small.client()
        both = [Client(each.url, token) for each in (small, second)]
        replies = until_refused(lambda n: both[n % 2].call("GET", "/v1/audit"))
        assert len(replies) > 2
        assert replies[-1].headers["Retry-After"] == "1"
        assert other.call("GET", "/v1/audit").status_code == 200
        cancel = {"account": "ev", "order_id": "limited"}
        until_refused(lambda n: both[n % 2].call("POST", "/v1/cancels", cancel))
        wrong = until_refused(lambda n: Client(small.url, f"guess-{n}").call("GET", "/v1/audit"))
        assert {reply.status_code for reply in wrong[:-1]} == {401}
        assert len(wrong) > 10
        assert small.client().call("GET", "/v1/audit").status_code == 200


def until_refused(call: Callable[[int], requests.Response]) -> list[requests.Response]:
    """Call until the answer is 429; return all replies."""
    replies: list[requests.Response] = []
    while not replies or replies[-1].status_code != 429:
        assert len(replies) < 200
        replies.append(call(len(replies)))
    return replies


def test_replies_carry_strict_headers_and_no_cors(client: Client) -> None:
    """Nothing may be framed, cached, or read by another site."""
    headers = client.call("GET", "/v1/status", headers={"Origin": "http://127.0.0.1"}).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers
    assert client.call("OPTIONS", "/v1/status", headers={"Origin": "null"}).status_code == 405


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/status", {"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ("/v1/status", {"Host": "evil.example"}, 200),
        ("/", {"Host": "evil.example"}, 421),
        ("/v1/../v1/status", {}, 404),
        ("//v1/status", {}, 404),
        ("/v1/status/", {}, 404),
        ("/v1/jobs/..%2f..%2fetc", {}, 404),
    ],
)
def test_foreign_hosts_and_odd_paths(
    client: Client, path: str, headers: dict[str, str], status: int
) -> None:
    """A rebound name reads nothing in a browser; paths are taken as they are."""
    prepared = requests.Request("GET", client.url, headers=headers).prepare()
    prepared.headers["Authorization"] = str(client.session.headers["Authorization"])
    prepared.url = client.url + path
    assert client.session.send(prepared, timeout=20).status_code == status


def test_a_body_has_a_bound(client: Client) -> None:
    """Declared or not."""
    big = {"account": "ev", "order_id": "x" * 1_100_000}
    assert client.call("POST", "/v1/cancels", big).status_code == 413
    chunked = iter([b" " * 65_536] * 20)
    reply = requests.post(
        f"{client.url}/v1/cancels",
        data=chunked,
        headers={
            "Authorization": str(client.session.headers["Authorization"]),
            "Connection": "close",
        },
        timeout=20,
    )
    assert reply.status_code == 413


def test_without_redis_a_call_says_so(web: Web) -> None:
    """503 with `Retry-After`; nothing about where Redis is."""
    world = World(web.world.sim, f"redis://127.0.0.1:{own_port()}/0", web.world.folder)
    with serving(world) as lost:
        reply = Client(lost.url, "any").call("POST", "/v1/cancels", {"account": "ev"})
        assert reply.status_code == 503
        assert reply.headers["Retry-After"] == "1"
        assert "Redis did not answer" in reply.json()["detail"]


def test_a_token_sees_only_its_accounts(web: Web, hand: Hand) -> None:
    """Lists, states, events and the audit log leave others out."""
    theirs, mine = hand.dead("theirs"), hand.dead("mine", "ix", pair="btc_idr", side="buy")
    hand.malformed()
    web.client().post("/v1/cancels", {"account": "ev", "order_id": "theirs-2"}, status=202)
    client = web.client(Verb.READ, accounts=("ix",))
    assert [job["id"] for job in client.get("/v1/dead-letters", limit=500)["jobs"]] == [mine]
    assert {job["account"] for job in client.get("/v1/jobs", limit=500)["jobs"]} == {"ix"}
    assert {lane["account"] for lane in client.get("/v1/status")["lanes"]} <= {"ix"}
    assert {entry["account"] for entry in client.get("/v1/audit")["entries"]} <= {"ix"}
    told = client.get(f"/v1/jobs/{theirs}", status=403)
    assert theirs not in told["detail"]
    assert "ev" not in told["detail"].split()
