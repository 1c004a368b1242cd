"""What every exchange shares: the registry, the checks, and how replies are read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.plain_ids import plain
from worker import exchanges
from worker.errors import InvalidCommand, SettingsError
from worker.exchanges import EXCHANGES, exchange_named, replies
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import Outcome, Unproven
from worker.model.wire import Reply

HOME = Path(exchanges.__file__).parent
NAMES = sorted(EXCHANGES)


# The registry


def test_registry_finds_each_exchange_by_name() -> None:
    """Settings name an exchange; the registry gives its adapter."""
    assert NAMES == [
        "binance",
        "binancecoinm",
        "binanceusdm",
        "bitmart",
        "bybit",
        "deribit",
        "everstrike",
        "gate",
        "gate_futures",
        "hyperliquid",
        "indodax",
        "indodax_v2",
        "kraken",
        "kucoin",
        "okx",
    ]
    for name in NAMES:
        assert exchange_named(name) is EXCHANGES[name]
        assert EXCHANGES[name].name == name


def test_an_unknown_exchange_lists_the_known() -> None:
    """A name that is not known is answered with those that are."""
    with pytest.raises(
        SettingsError,
        match="no exchange is named 'nowhere': use one of bitmart, everstrike, indodax",
    ):
        exchange_named("nowhere")


@pytest.mark.parametrize("path", sorted(HOME.glob("*.py")), ids=lambda path: path.name)
def test_an_exchange_is_named_in_its_own_modules_alone(path: Path) -> None:
    """Shared code knows no exchange, and no exchange another."""
    own = next((name for name in NAMES if path.stem.startswith(name)), None)
    text = path.read_text().casefold()
    if path.name != "__init__.py":
        words = set(re.findall(r"[a-z0-9_]+", text))
        assert [name for name in NAMES if name in words and name != own] == []


@pytest.mark.parametrize(
    "path", sorted({*HOME.glob("*.py")} - {HOME / "__init__.py"}), ids=lambda path: path.name
)
def test_adapters_import_nothing_that_does_anything(path: Path) -> None:
    """No I/O, no clock, no Redis: each import is on a short list of harmless ones."""
    harmless = {
        *(
            "__future__",
            "base64",
            "collections",
            "dataclasses",
            "decimal",
            "enum",
            "hashlib",
            "hmac",
        ),
        *("json", "re", "reprlib", "types", "typing", "urllib"),
    }
    model = ("commands", "constants", "limits", "outcomes", "pairs", "wire")
    ours = {"worker.errors", *(f"worker.model.{name}" for name in model)}
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Import) or harmless.issuperset(
            alias.name for alias in node.names
        )
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            is_ours = module in ours or module.startswith("worker.exchanges.")
            assert is_ours or module.split(".")[0] in harmless


# The checks


def orders_of(order_id: str) -> list[Command]:
    """Name an order in each way that all exchanges know."""
    pair = "btc_idr"
    return [CancelOrder(order_id, pair=pair, side="buy"), QueryOrder(order_id, pair=pair)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "order_id",
    [
        "",
        " ",
        "a b",
        "a\n",
        "\n",
        "a\r\nX: y",
        "a\x00",
        "a\x7f",
        "é",
        "١٢٣",
        "a\u202eb",
        "\ud800",
        "x" * 129,
        None,
        7,
        b"a",
        ["a"],
    ],
    ids=lambda value: plain(repr(value)),
)
def test_hostile_ids_are_refused(name: str, order_id: str) -> None:
    """An id is 1 to 128 printable ASCII characters without spaces, everywhere."""
    for command in orders_of(order_id):
        with pytest.raises(InvalidCommand, match="is not an order id") as refused:
            EXCHANGES[name].check(command)
        text = str(refused.value)
        assert text.isprintable()
        assert len(text) < 300


@pytest.mark.parametrize("name", ["bitmart", "indodax"])
@pytest.mark.parametrize("char", "/?&=#%.;:+,'\"\\<>@")
def test_ids_that_could_alter_a_path_are_refused(name: str, char: str) -> None:
    """Where ids are documented as numbers, only letters, digits, _ and - pass."""
    for command in orders_of(f"12{char}3"):
        with pytest.raises(InvalidCommand, match="letters, digits, _ and -"):
            EXCHANGES[name].check(command)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order_id", ["1", "1223181", "a-b_C9", "x" * 128])
def test_plain_ids_pass(name: str, order_id: str) -> None:
    """Ids as the documents show them pass."""
    if name.startswith(("binance", "gate", "hyperliquid", "okx")):
        order_id = order_id if order_id.isdigit() else "9" * 19  # its ids are numbers
    if name == "kraken":
        order_id = "OYVGEW-VYV5B-UUEXSK"  # its ids have one form
    if name == "bybit":
        order_id = order_id.replace("_", "-")[:64]
    for command in orders_of(order_id):
        EXCHANGES[name].check(command)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pair", ["", "btc idr", "btc/idr", "a&b", "a,b", "a\n", "x" * 65, "é", 7])
def test_hostile_pairs_are_refused(name: str, pair: str) -> None:
    """A pair is 1 to 64 letters, digits, _ . or -, and the refusal shows one."""
    for command in (CancelOrder("1", pair=pair, side="buy"), ListOpenOrders(pair=pair)):
        with pytest.raises(InvalidCommand, match='as in --pair btc_idr, or pair="btc_idr"'):
            EXCHANGES[name].check(command)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["", "BUY", "both", "buy\n", 1])
def test_hostile_sides_are_refused(name: str, side: str) -> None:
    """A side is buy or sell, and the refusal says so."""
    for command in (CancelOrder("1", pair="a_b", side=side), ListOpenOrders("a_b", side)):
        with pytest.raises(InvalidCommand, match="give --side buy or --side sell"):
            EXCHANGES[name].check(command)


# How replies are read


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"{}\xef\xbb\xbf",
        b" \xef\xbb\xbf{}",
        b"{}" + b" " * replies.BODY_MAX_BYTES,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"9" * 5_000,
        b"{'a':1}",
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: plain(repr(body[:16])),
)
def test_what_cannot_be_read_one_way_is_not_read(body: bytes) -> None:
    """Bodies that are no plain JSON are nothing, and no error."""
    assert replies.read_json(body) is None


def test_the_longest_body_is_read_and_nothing_longer() -> None:
    """A body of any size costs no more than this."""
    longest = b"{}" + b" " * (replies.BODY_MAX_BYTES - 2)
    assert replies.read_json(longest) == {}
    assert replies.read_json(longest + b" ") is None


def test_a_byte_order_mark_changes_nothing() -> None:
    """Some servers write one before UTF-8; one alone, and at the beginning."""
    assert replies.read_json(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Invalid request", "Invalid request"),
        ("internal_server_error: x", "internal_server_error: x"),
        ("a\r\nb\tc\x1b[31m\x00d", "a b c [31m d"),
        ("abc\u202edef\ud800", "abc def"),
        ("key 6591f7c2491db0a23a1d8ad6911c825e!", "key ***!"),
        ("LSCE7NJG-JACRNTBX-D834R4UG-KMMTV8OP-PS1NHRBA", "***"),
        ("sign DjUABVuH0FI9jvq3194J/+fm+hXHKavKHalIJLWzleU=.", "sign ***."),
        ("You provided 1524998484.", "You provided 1524998484."),
        ("x" * 5_000, ""),
        ("ab " * 100, ("ab " * 100)[:200]),
    ],
)
def test_words_of_an_exchange_are_safe_to_show(text: str, shown: str) -> None:
    """Words are printable, on one line, cut short, and hold no long run that could be a secret."""
    assert replies.readable(text) == shown


def test_a_secret_cut_in_half_is_not_shown() -> None:
    """The cut that bounds a text leaves no first half of a secret behind."""
    text = " " * 1_990 + "6591f7c2491db0a23a1d8ad6911c825e"
    assert replies.readable(text) == ""


def test_an_undecodable_page_is_described_without_a_crash() -> None:
    """A compressed or broken page gives some words, never an error."""
    reply = Reply(502, {}, b"\xff\x00\x9cbad gateway", received_ms=0)
    assert replies.describe(reply, None) == "HTTP 502: \ufffd \ufffdbad gateway"


def test_a_long_message_is_cut() -> None:
    """What an exchange says takes 200 characters at most, its status included."""
    reply = Reply(502, {}, b"bad " * 500, received_ms=0)
    assert replies.describe(reply, None) == ("HTTP 502: " + "bad " * 50)[:200]


@pytest.mark.parametrize(
    ("value", "asked", "same"),
    [
        ("7", "7", True),
        (7, "7", True),
        (7, "07", False),
        (7.0, "7", False),
        (True, "True", False),
        (None, "None", False),
        ("", "", False),
        (None, "", False),
        (["7"], "7", False),
    ],
    ids=lambda value: plain(repr(value)),
)
def test_an_id_is_the_same_as_text_or_number_only(value: object, asked: str, *, same: bool) -> None:
    """An id matches as the text or the whole number that was asked for."""
    assert replies.same_id(value, asked) is same


@pytest.mark.parametrize(
    ("value", "text"),
    [("7", "7"), (7, "7"), ("", ""), (7.0, ""), (True, ""), (None, ""), ([7], ""), ({}, "")],
    ids=lambda value: plain(repr(value)),
)
def test_an_id_is_text_or_a_whole_number(value: object, text: str) -> None:
    """Nothing else names an order."""
    assert replies.id_text(value) == text


UNAVAILABLE, UNKNOWN, THROTTLED = Outcome.UNAVAILABLE, Outcome.UNKNOWN, Outcome.THROTTLED


@pytest.mark.parametrize(
    ("status", "outcome", "waits"),
    [
        (429, THROTTLED, True),
        (499, UNKNOWN, False),
        (500, UNAVAILABLE, True),
        (503, UNAVAILABLE, True),
        (504, UNKNOWN, True),
        (599, UNAVAILABLE, True),
        (600, UNKNOWN, False),
        (404, UNKNOWN, False),
    ],
)
def test_status_alone_says_what_a_page_means(
    status: int,
    outcome: Outcome,
    waits: bool,  # noqa: FBT001
) -> None:
    """With the wait that its header asks for, where a wait is meant."""
    reply = Reply(status, {"retry-after": "7"}, b"<html>sorry</html>", received_ms=0)
    wait_ms = 7_000 if waits else None
    assert replies.refused(reply, None) == Unproven(
        outcome, f"HTTP {status}: <html>sorry</html>", retry_after_ms=wait_ms
    )
