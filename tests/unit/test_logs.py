"""Logs: one JSON object a line, and no secret in any of its forms."""

from __future__ import annotations

import fcntl
import http.client
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import urllib3

from tests.support.raw_server import Server, forever
from worker.config.settings import Http
from worker.gateway.http.transport import Transport
from worker.model.wire import Request
from worker.telemetry.logs import (
    CHATTY,
    FIELDS,
    LINES,
    MASK,
    PIECE,
    SILENCED,
    UNWRITTEN,
    JsonFormatter,
    Mask,
    WholeLines,
    set_up,
)

SECRET = "plain-secret-0123456789"
AWKWARD = 'qu"ote\\back/slash&sp ace\u20ac+=tab\t'
"""A secret that JSON, repr and URLs each write otherwise."""
SECRETS = (SECRET, AWKWARD)


WRITES_MANY = """
import logging, sys
from worker.telemetry.logs import LINES, set_up
set_up("INFO")
for chunk in range(50):
    said = [
        {"message": "done", "job": sys.argv[1], "attempt": chunk * 40 + n, "detail": "x" * 300}
        for n in range(40)
    ]
    logging.getLogger("t").info("attempts", extra={LINES: said})
"""
"""A program that logs fifty records of forty lines, under the name that it is given."""


class Pieces(io.StringIO):
    """Keeps each write apart."""

    def __init__(self, pieces: list[str]) -> None:
        super().__init__()
        self._pieces = pieces

    def write(self, text: str) -> int:
        """Keep it."""
        self._pieces.append(text)
        return len(text)


class Sink:
    """A logger of its own, and what it wrote."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        handler = WholeLines(self.out)
        handler.setFormatter(JsonFormatter(Mask(SECRETS)))
        self.log = logging.Logger("t")  # noqa: LOG001  no other test must meet it
        self.log.addHandler(handler)

    def text(self) -> str:
        """Return all that was written."""
        return self.out.getvalue()

    def line(self) -> dict[str, Any]:
        """Return the one line."""
        (line,) = self.text().splitlines()
        document: dict[str, Any] = json.loads(line)
        return document


@pytest.fixture
def sink() -> Sink:
    return Sink()


def forms(secret: str) -> list[str]:
    """Return how a secret may be written on its way into a log."""
    return [
        secret,
        repr(secret)[1:-1],
        repr(secret.encode())[2:-1],
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
    ]


def assert_masked(text: str) -> None:
    """No form of any secret is left."""
    for secret in SECRETS:
        for form in forms(secret):
            assert form not in text
            assert json.dumps(form)[1:-1] not in text
    assert MASK in text


def test_line_says_what_happened(sink: Sink) -> None:
    """A line is one JSON object with time, level, logger and message."""
    sink.log.warning("gone %s", "wrong")
    line = sink.line()
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "t", "gone wrong")
    assert line["time"].endswith("+00:00")


def test_line_carries_the_context(sink: Sink) -> None:
    """Job, account, exchange, attempt and outcome are fields of their own."""
    context = {name: f"v-{name}" for name in FIELDS}
    sink.log.info("x", extra={**context, "unlisted": "no"})
    line = sink.line()
    assert {name: line[name] for name in FIELDS} == context
    assert "unlisted" not in line


def test_record_of_several_lines_is_as_many(sink: Sink) -> None:
    """Each has its own message and fields, and what all share."""
    said = [{"message": f"m{n}", "job": f"j{n}", "detail": SECRET} for n in range(3)]
    sink.log.info("attempts", extra={LINES: said})
    lines = [json.loads(line) for line in sink.text().splitlines()]
    assert [(line["message"], line["job"]) for line in lines] == [
        ("m0", "j0"),
        ("m1", "j1"),
        ("m2", "j2"),
    ]
    assert {(line["level"], line["logger"], line["detail"]) for line in lines} == {
        ("INFO", "t", MASK)
    }


def test_lines_of_several_processes_stay_whole() -> None:
    """Records of many lines, through one pipe that is full nearly always."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIECE)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITES_MANY, name], stderr=writer) for name in "ab"
    ]
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as out:
        lines = [json.loads(line) for line in out]
    assert [process.wait() for process in writers] == [0, 0]
    for name in "ab":
        told = [line["attempt"] for line in lines if line["job"] == name]
        assert told == list(range(50 * 40))


def test_longer_line_is_in_one_piece() -> None:
    """And those before and after it are with others, as many as go in a piece."""
    pieces = list[str]()
    handler = WholeLines(Pieces(pieces))
    lines = ["x" * size for size in (10, PIECE - 12, 10, 3 * PIECE, 5, 5, PIECE - 1, 7)]
    handler.emit(logging.makeLogRecord({"msg": "\n".join(lines)}))
    assert [[len(line) for line in piece.splitlines()] for piece in pieces] == [
        [10, PIECE - 12],
        [10],
        [3 * PIECE],
        [5, 5],
        [PIECE - 1],
        [7],
    ]


def test_what_cannot_be_written_is_not_shown_instead(
    sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says that a line is missing, nowhere what was in it, and continues."""

    class Unspeakable:
        def __str__(self) -> str:
            raise LookupError(SECRET)

    sink.log.info("a %s", SECRET, extra={"detail": [Unspeakable()]})
    sink.log.info("b")
    lines = [json.loads(line)["message"] for line in sink.text().splitlines()]
    assert lines == [f"{UNWRITTEN}: LookupError", "b"]
    assert capsys.readouterr() == ("", "")


def test_what_is_not_given_is_left_out(sink: Sink) -> None:
    """A field without a value is not in the line."""
    sink.log.info("x", extra={"job": None, "attempt": 0})
    line = sink.line()
    assert "job" not in line
    assert line["attempt"] == 0


def test_text_of_many_lines_is_one_line(sink: Sink) -> None:
    """A forged line break in an exchange's words makes no second line."""
    sink.log.info("a\nb\r\u2028c", extra={"detail": '\n{"level": "INFO"}'})
    assert sink.line()["message"] == "a\nb\r\u2028c"


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_is_masked_in_the_message(sink: Sink, secret: str) -> None:
    """Whether the format or an argument holds it, and however it is written."""
    for form in forms(secret):
        sink.log.info("before %s after", form)
        sink.log.info(f"before {form.replace('%', '%%')} after", *())  # noqa: G004  as a careless caller does
    assert_masked(sink.text())
    assert sink.text().count("before") == 12


def test_secret_is_masked_in_the_context(sink: Sink) -> None:
    """Fields are masked too, nested ones, keys and foreign objects among them."""

    class Foreign:
        def __str__(self) -> str:
            return f"Foreign({AWKWARD!r})"

    for value in (SECRET, [SECRET], {"k": (AWKWARD,)}, {AWKWARD: 1}, Foreign(), [Foreign()]):
        sink.log.info("x", extra={"detail": value})
    assert_masked(sink.text())
    assert all(json.loads(line) for line in sink.text().splitlines())


def raise_deep(secret: str) -> None:
    """Raise an error that holds a secret, from another one that does."""
    table: dict[str, str] = {}
    try:
        table[secret]
    except KeyError as inner:
        raise ValueError(f"bad value {secret!r} in {{'Authorization': b{secret!r}}}") from inner


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_is_masked_in_tracebacks(sink: Sink, secret: str) -> None:
    """Every error of a chain is shown, and none of them with a secret."""
    try:
        raise_deep(secret)
    except ValueError:
        sink.log.exception("failed")
    line = sink.line()
    assert "KeyError" in line["error"]
    assert "ValueError: bad value" in line["error"]
    assert_masked(sink.text())


def test_longer_secret_is_masked_whole() -> None:
    """A secret that begins with another one leaves no rest."""
    mask = Mask([SECRET, f"{SECRET}-and-more"])
    assert mask(f"{SECRET}-and-more") == MASK
    assert mask(SECRET) == MASK


def test_short_words_are_not_masked() -> None:
    """A secret of a few letters would mask ordinary words."""
    assert Mask(["abc", ""])("abc") == "abc"
    assert Mask()("text") == "text"


def test_mask_reaches_into_values() -> None:
    """Lists, tuples and tables are masked in depth; other values stay as they are."""
    value = {"a": [SECRET, 1, None, True, {"b": (f"x{SECRET}",)}], SECRET: 1.5}
    assert Mask(SECRETS).deep(value) == {"a": [MASK, 1, None, True, {"b": [f"x{MASK}"]}], MASK: 1.5}


def test_careless_call_is_logged_all_the_same(
    sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    """A format that does not fit its arguments shows neither a traceback nor a secret."""
    sink.log.info("%d and %d", SECRET)  # noqa: PLE1206  the carelessness
    assert "%d and %d" in sink.line()["message"]
    assert SECRET not in sink.text()
    assert capsys.readouterr().err == ""


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Put the logs back as they were."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    yield root
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for name in SILENCED:
        logging.getLogger(name).disabled = False
    vars(http.client).pop("print", None)


def test_set_up_sends_all_logs_as_json(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every logger of the process writes masked JSON to standard error, once."""
    set_up("INFO", SECRETS)
    mask = set_up("DEBUG", SECRETS)
    logging.getLogger("some.library").debug("has %s", SECRET)
    assert len(root.handlers) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["message"] == f"has {MASK}"
    assert mask(SECRET) == MASK


@pytest.mark.usefixtures("root")
def test_http_cannot_be_made_verbose(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turned up in every way there is, before and after, it shows no request of ours or others'."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 9)
    set_up("DEBUG")
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    handler = urllib3.add_stderr_logger(logging.DEBUG)
    try:
        with Server(forever) as server:
            transport = Transport(Http())
            request = Request("POST", f"{server.url}&k={SECRET}", {"X-Key": SECRET}, b"x")
            transport.send(request, egress_ip=None, deadline_ms=5_000)
            urllib3.PoolManager().request("GET", server.url, headers={"X-Key": SECRET})
        assert len(server.requests) == 2
    finally:
        logging.getLogger("urllib3").removeHandler(handler)
    out, err = capsys.readouterr()
    assert out == ""
    assert SECRET not in err
    assert "X-Key" not in err


def test_chatty_libraries_keep_still_even_in_debug(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests, headers and messages that libraries show in debug stay unseen."""
    set_up("DEBUG")
    for name in CHATTY:
        logging.getLogger(f"{name}.inner").info("a request")
        logging.getLogger(name).debug("a header")
    logging.getLogger("urllib3.connection").warning("Failed to parse headers (url=…)")
    assert root.level == logging.DEBUG
    assert capsys.readouterr().err == ""
