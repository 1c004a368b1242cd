"""A list of open orders is read to its last page, or says that it is not whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from worker.gateway.pages import PAGES_MAX, READINGS_MAX, read_pages
from worker.gateway.tokens import Wait
from worker.model.commands import ListOpenOrders
from worker.model.outcomes import OpenOrder, OpenOrders, Outcome, Unproven

LIST = ListOpenOrders("BTC-USDT")
LOST = Unproven(Outcome.UNKNOWN, "no reply")
THROTTLED = Unproven(Outcome.THROTTLED, "slow down", retry_after_ms=10)


def page(*ids: int, after: str = "", complete: bool = True, more: Sequence[int] = ()) -> OpenOrders:
    """Return a page; `more` are rows that are not of the scope."""
    orders = tuple(OpenOrder(str(n), "BTC-USDT") for n in ids)
    return OpenOrders(orders, complete, after, tuple(str(n) for n in (*ids, *more)))


def answering(*answers: Any) -> tuple[Callable[[Any], Any], list[str]]:
    """Return what gives these answers in turn, and the pages that it was asked for."""
    left, asked = list(answers), []

    def ask(command: ListOpenOrders) -> Any:
        asked.append(command.after)
        return left.pop(0)

    return ask, asked


def read(*answers: Any, until_ms: float = math.inf, **how: bool) -> tuple[Any, list[str]]:
    """Read a list with these answers; return what came of it and the pages asked for."""
    ask, asked = answering(*answers)
    return read_pages(ask, LIST, until_ms=until_ms, **{"shift": False, **how}), asked


def test_pages_are_one_list() -> None:
    """An order that two pages show is in it once."""
    found, asked = read(page(1, 2, after="b"), page(2, 3, after="c"), page(4))
    assert found == page(1, 2, 3, 4)
    assert asked == ["", "b", "c"]


@pytest.mark.parametrize(
    "answers",
    [
        (page(1, after="b", complete=False), page(2)),
        (page(1, after="b"), page(2, complete=False)),
        (page(1, after="b"), page(2, after="b")),
    ],
)
def test_a_page_that_is_not_whole_leaves_the_list_incomplete(answers: tuple[Any, ...]) -> None:
    """So does a page that names itself as the next."""
    assert read(*answers)[0] == page(1, 2, complete=False)


def test_orders_of_a_first_page_need_not_wait_for_the_others() -> None:
    """The list is not whole then; without orders the pages are read on."""
    pages = page(more=[9], after="b"), page(1, after="c"), page(2)
    assert read(*pages, hasty=True) == (page(1, complete=False), ["", "b"])
    assert read(*pages) == (page(1, 2), ["", "b", "c"])
    assert read(page(), hasty=True) == (page(), [""])


@pytest.mark.parametrize("answer", [LOST, Wait(50), Unproven(Outcome.UNAVAILABLE)])
def test_orders_of_pages_that_were_had_are_not_lost_with_a_later_one(answer: Any) -> None:
    """They get their cancels, and the list is read again."""
    assert read(page(1, after="b"), answer, until_ms=0.0)[0] == page(1, complete=False)


@pytest.mark.parametrize("answer", [LOST, THROTTLED, Wait(50)])
def test_without_a_first_page_the_answer_is_that_page_s(answer: Any) -> None:
    """Nothing is known of the scope."""
    assert read(answer) == (answer, [""])


def test_a_refusal_for_the_rate_is_returned_from_any_page() -> None:
    """The account must rest."""
    assert read(page(1, after="b"), THROTTLED)[0] is THROTTLED


def test_a_rate_slot_is_waited_for_between_pages() -> None:
    """If there is time."""
    found, asked = read(page(1, after="b"), Wait(1), page(2))
    assert (found, asked) == (page(1, 2), ["", "b", "b"])


def test_the_pages_of_one_list_are_bounded() -> None:
    """What is beyond is listed once these are closed."""
    found, asked = read(*(page(n, after=str(n)) for n in range(PAGES_MAX + 1)))
    assert (len(asked), len(found.orders), found.complete) == (PAGES_MAX, PAGES_MAX, False)


def test_pages_that_shift_are_read_until_two_readings_agree() -> None:
    """Order 3 moved to the page that had been read when 1 was closed, and was not shown."""
    first, second = (page(1, 2, after="1"), page(4)), (page(2, 3, after="1"), page(4))
    found, asked = read(*first, *second, *second, shift=True)
    assert found.complete
    assert {order.order_id for order in found.orders} == {"1", "2", "3", "4"}
    assert asked == ["", "1"] * 3


def test_rows_out_of_the_scope_shift_pages_too() -> None:
    """An empty scope is not proven by pages that may have hidden an order."""
    readings = [(page(after="1", more=[n, 8]), page(more=[9])) for n in range(READINGS_MAX)]
    found, _ = read(*(each for reading in readings for each in reading), shift=True)
    assert found == OpenOrders((), complete=False)
    same = (page(after="1", more=[1]), page(more=[2]))
    assert read(*same, *same, shift=True)[0] == OpenOrders((), complete=True)


def test_one_page_that_could_shift_is_read_once() -> None:
    """There is no other that its rows could have come from."""
    assert read(page(1), shift=True) == (page(1), [""])


def test_a_second_reading_that_fails_proves_nothing() -> None:
    """The first may have missed an order."""
    found, _ = read(page(1, after="1"), page(2), LOST, shift=True)
    assert found == page(1, 2, complete=False)
