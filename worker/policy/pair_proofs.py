"""What an empty list of a pair's orders proves: nothing, unless the exchange has the pair."""

from __future__ import annotations

from dataclasses import dataclass

from worker.exchanges.base import Exchange
from worker.model.commands import ListPairs
from worker.model.jobs import Job
from worker.model.pairs import PairBook
from worker.policy.scopes import UNSEEN

NO_LIST = "nothing is open in it, which proves nothing: the exchange's pairs are not known yet"
NOT_LISTED = (
    "nothing is open in it, which proves nothing: the exchange's lists do not have the pair"
)


@dataclass(frozen=True, slots=True)
class PairDoubt:
    """Why an empty list proves nothing.

    Attributes:
        why: For people.
        refused: The exchange is known not to have the pair: asking again cannot help.
        misnamed: The pair has another name, or may have: the list was not of its orders.
    """

    why: str
    refused: bool = False
    misnamed: bool = False


def lists_pairs(exchange: Exchange) -> bool:
    """Return whether an exchange can be asked which pairs it has."""
    return ListPairs in exchange.capabilities.commands


def shown(job: Job, exchange: Exchange) -> bool:
    """Return whether a scope's pair needs no list of pairs to be believed.

    So it is without a pair, where the exchange refuses pairs that it does not know, and once
    a row of the account's orders has shown the pair.
    """
    refuses = exchange.capabilities.refuses_unknown_pairs
    return not job.pair or refuses or job.children > 0 or not job.unseen


def doubt_of(job: Job, exchange: Exchange, book: PairBook | None) -> PairDoubt | None:
    """Return why an empty list of a scope proves nothing; None if it is a proof.

    Args:
        job: A cancel-all, as it was sent.
        exchange: Its account's.
        book: The newest list of pairs that is available; None if there is none.
    """
    if shown(job, exchange) or not job.pair:
        return None
    if not lists_pairs(exchange):
        return PairDoubt(UNSEEN)
    if book is None:
        return PairDoubt(NO_LIST, misnamed=True)
    spelling = exchange.capabilities.spelling
    found = book.find(job.pair, spelling)
    if found is not None:
        # Listed again under the name that the exchange gives it.
        if found.pair == job.pair:
            return None
        return PairDoubt(f"{job.pair} is named {found.pair}", misnamed=True)
    pattern = exchange.capabilities.unlisted_pairs
    if pattern and pattern.fullmatch(job.pair):
        return PairDoubt(NOT_LISTED)
    if book.fetched_ms <= job.created_ms:
        return PairDoubt(NO_LIST)
    return PairDoubt(unknown_pair(exchange, job.pair), refused=True)


def unknown_pair(exchange: Exchange, pair: str) -> str:
    """Return the error text of a pair that an exchange does not have."""
    return f"{exchange.name} has no pair {pair!r}: check how it is written"
