"""Whether a reply says that its request failed, how deep it is, and its words for people."""

from __future__ import annotations

import pytest

from worker.exchanges.ccxt.evidence import DEPTH_MAX, fails, hushed, is_deep, without

ID, OTHER = "123", "121"
ROW = {"id": ID, "status": "canceled"}
TOP: list[tuple[object, bool]] = [
    ({}, False),
    ([], False),
    (None, False),
    ("error", False),
    # Lists hold rows, which are not looked into without an order.
    ([{"success": False}], False),
    ({"data": {"id": "XX", "success": False}}, False),
    ({"success": False}, True),
    ({"success": "False "}, True),
    ({"ok": 0}, True),
    ({"ok": "0"}, True),
    ({"ok": 1}, False),
    ({"success": True}, False),
    ({"done": False}, False),
    ({"a": 1, "success": False}, True),
    # What says that a request has failed, unless it is empty or fine.
    *(
        ({name: "x"}, True)
        for name in ("error", "errors", "err", "errCode", "err_no", "error-msg", "errmessage")
    ),
    *(({name: 5}, True) for name in ("retCode", "ret_code", "RETCODE", "errno")),
    *(({name: "x"}, False) for name in ("errand", "terror", "code_err", "return")),
    *(
        ({"error": fine}, False)
        for fine in ("", "0", "00000", "000000", 200, "OK", "none", None, "null", "Success")
    ),
    *(({"error": each}, False) for each in (False, 0, "No error")),
    ({"error": []}, False),
    ({"error": {}}, False),
    *(({"error": each}, True) for each in (True, 1, "201", "fault")),
    ({"error": ["x"]}, True),
    ({"error": {"x": 1}}, True),
    # The word of an envelope.
    *(({name: "error"}, True) for name in ("status", "result")),
    *(({"status": word}, True) for word in ("Error", "fail", "FAILED")),
    *(({"status": word}, False) for word in ("ok", "errors", 500, None, ["error"])),
    ({"state": "error"}, False),
    # A code, with words beside it.
    *(
        ({"code": code, "msg": "odd"}, False)
        for code in ("0", "00000", "1", 100, 200, 1000, 10000, 20000, "200000", "", None, "OK")
    ),
    *(({"code": code, "msg": "odd"}, True) for code in (-1, "2", 400, "E1", True)),
    ({"code": ["2"], "msg": "odd"}, False),
    ({"code": 2, "message": "odd"}, True),
    ({"code": 2, "message": "odd", "msg": "ok"}, False),
    ({"code": 2, "message": "ok", "msg": "odd"}, True),
    *(
        ({"code": 2, "msg": words}, False)
        for words in ("", " ok ", "Done", "TRUE", "It succeeded", "操作成功了")
    ),
    ({"code": 2, "msg": None}, False),
    ({"code": 2, "msg": 5}, False),
    ({"code": 2}, False),
    ({"msg": "odd"}, False),
]


@pytest.mark.parametrize(("body", "failed"), TOP)
def test_whether_a_reply_says_at_its_top_that_it_failed(body: object, *, failed: bool) -> None:
    """With no order, no deeper place is looked at."""
    assert fails(body) is failed


AROUND: list[tuple[object, bool]] = [
    (ROW, False),
    ([ROW], False),
    ({"data": ROW}, False),
    ({"data": [ROW]}, False),
    ({"data": {"success": False, "rows": [ROW]}}, True),
    ({"data": [{"status": "error", "order": ROW}]}, True),
    ({"data": {"code": 2, "msg": "odd", "order": ROW}}, True),
    # The row's own status and code are the order's, not the request's.
    ({"data": {**ROW, "status": "failed"}}, False),
    ({"data": {**ROW, "code": 2, "msg": "odd"}}, False),
    ({"data": {**ROW, "error": "odd"}}, True),
    ({"data": {**ROW, "success": False}}, True),
    # At the top they are the request's all the same.
    ({**ROW, "status": "failed"}, True),
    # What is around or in other rows says nothing of this order.
    ({"data": [ROW, {"id": OTHER, "error": "odd"}]}, False),
    ({"data": [ROW], "more": {"success": False}}, False),
    ({"data": {"success": False, "rows": [{"id": OTHER}]}}, False),
    ({"data": {"status": "error", "rows": {ID: {"state": "x"}}}}, True),
    ({"data": [{"status": "error"}, {"order": ROW}]}, False),
    ([[{"success": False, "order": ROW}]], True),
]


@pytest.mark.parametrize(("body", "failed"), AROUND)
def test_whether_a_reply_says_around_an_order_that_it_failed(body: object, *, failed: bool) -> None:
    """At any depth, and in the order's own row."""
    assert fails(body, ID) is failed


def test_an_empty_id_has_nothing_around_it() -> None:
    """Only the top says whether the request failed."""
    body = {"data": {"id": "", "success": False, "": {"success": False}}}
    assert not fails(body, "")
    assert not fails(body)


def nested(depth: int, kind: str) -> object:
    """Return JSON that is nested so deep."""
    value: object = 1
    for _ in range(depth):
        value = [2, value] if kind == "list" else {"a": 2, "b": value}
    return value


@pytest.mark.parametrize("kind", ["list", "object"])
def test_how_deep_a_reply_may_be(kind: str) -> None:
    """No exchange nests as much."""
    assert not is_deep(nested(DEPTH_MAX, kind))
    assert is_deep(nested(DEPTH_MAX + 1, kind))


@pytest.mark.parametrize("flat", [1, None, "a", [], {}, [1, "a"], {"a": 1}])
def test_a_flat_reply_is_not_deep(flat: object) -> None:
    """Nor is a text, whose letters are not looked at."""
    assert not is_deep(flat)


def test_words_for_people_are_taken_out_at_any_depth() -> None:
    """Whatever the case of their names."""
    body = {"id": 1, "Msg": "a", "data": [{"reason": "b", "state": "c"}, ["d"], 5], "info": {}}
    assert hushed(body) == {"id": 1, "data": [{"state": "c"}, ["d"], 5]}


@pytest.mark.parametrize(
    ("body", "decoy", "bare"),
    [
        ({"id": ID, "a": 1}, {"id": OTHER[:2] + "1", "a": 1}, {"id": ID}),
        ({"id": 123, "a": 1}, {"id": 121, "a": 1}, {"id": 123}),
        ([ID, 5], ["121", 5], [ID, None]),
        ({ID: {"a": 1}, "b": 2}, {"121": {"a": 1}, "b": 2}, {ID: {}, "b": 2}),
        ({"a": [{"id": ID, "b": 1}]}, {"a": [{"id": "121", "b": 1}]}, {"a": [{"id": ID}]}),
        ({"a": 1}, {"a": 1}, {"a": 1}),
        ([5, None], [5, None], [5, None]),
        (5, 5, 5),
    ],
)
def test_a_reply_without_its_report(body: object, decoy: object, bare: object) -> None:
    """With another id, of the same type, or with the id alone."""
    assert repr(without(body, ID, decoy=True)) == repr(decoy)
    assert repr(without(body, ID, decoy=False)) == repr(bare)
