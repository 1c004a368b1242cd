"""Bodies of calls, as OpenAPI documents them. An unknown field is refused."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.client.commands import HOLD_MAX_MS

Text = Annotated[str, Field(min_length=1, max_length=256)]
Account = Annotated[str, Field(min_length=1, max_length=64)]
Side = Literal["buy", "sell"]
Stops = Literal["take", "keep"]
ORDERS_MAX = 10_000
CLEAR_WAIT_MAX_MS = 60_000


class Body(BaseModel):
    """A JSON object."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Order(Body):
    """One order of a list, by one of its two ids.

    Attributes:
        order_id: The exchange's id.
        client_order_id: The id that the strategy gave it.
        pair: Instead of the call's own.
        side: Instead of the call's own.
    """

    order_id: Text | None = None
    client_order_id: Text | None = None
    pair: Text | None = None
    side: Side | None = None

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        if (self.order_id is None) == (self.client_order_id is None):
            raise ValueError("give order_id or client_order_id")
        return self


class Cancels(Body):
    """`order_id` or `client_order_id` for one order, `orders` for several.

    Attributes:
        pair: If the exchange needs it; for every order that names none itself.
        side: Likewise.
    """

    account: Account
    order_id: Text | None = None
    client_order_id: Text | None = None
    pair: Text | None = None
    side: Side | None = None
    orders: Annotated[list[Order], Field(min_length=1, max_length=ORDERS_MAX)] | None = None

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        given = [self.order_id, self.client_order_id, self.orders]
        if given.count(None) != len(given) - 1:
            raise ValueError("give order_id or client_order_id for one order, orders for several")
        return self


class CancelAll(Body):
    """The open orders of an account, or of one pair or side of it.

    Attributes:
        client_id_prefix: Only orders whose client order id begins with it.
        stops: `take` cancels stop orders too, `keep` leaves them.
        hold_ms: Keep the scope empty for so long: cancel what is placed there, too.
    """

    account: Account
    pair: Text | None = None
    side: Side | None = None
    client_id_prefix: Text | None = None
    stops: Stops = "take"
    hold_ms: Annotated[int, Field(ge=0, le=HOLD_MAX_MS)] = 0


class Panic(Body):
    """The accounts in which everything is canceled; all of them if none is named."""

    accounts: Annotated[list[Account], Field(min_length=1, max_length=1_000)] | None = None


class Arm(Body):
    """A switch to arm; pairs, orders, a prefix or several of them, or `everything` alone.

    Attributes:
        client_order_ids: Orders to which the strategy gave these ids.
        client_id_prefix: Of the pairs, or of the account without pairs, only orders whose
            client order id begins with it.
        stops: `take` cancels stop orders too, `keep` leaves them.
        timeout_ms: From each heartbeat to the deadline.
        name: Unique among the armed switches of the account.
        replace: End a switch that has this name and another scope.
        clear_wait_ms: How long to wait while a former switch still cancels.
    """

    account: Account
    pairs: Annotated[list[Text], Field(max_length=1_000)] = []
    order_ids: Annotated[list[Text], Field(max_length=ORDERS_MAX)] = []
    client_order_ids: Annotated[list[Text], Field(max_length=ORDERS_MAX)] = []
    client_id_prefix: Text | None = None
    stops: Stops = "take"
    everything: bool = False
    timeout_ms: Annotated[int, Field(gt=0)]
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    replace: bool = False
    clear_wait_ms: Annotated[int, Field(ge=0, le=CLEAR_WAIT_MAX_MS)] = 0


class BeatOf(Body):
    """A heartbeat.

    Attributes:
        epoch: Only as the holder of this arming; 0 for any.
        sent_ms: When the strategy sent it, Unix ms: it counts from there.
    """

    epoch: Annotated[int, Field(ge=0)] = 0
    sent_ms: Annotated[int, Field(ge=0)] | None = None


class Orders(Body):
    """Orders to add to a switch's scope, or to remove from it; at least one."""

    order_ids: Annotated[list[Text], Field(max_length=ORDERS_MAX)] = []
    client_order_ids: Annotated[list[Text], Field(max_length=ORDERS_MAX)] = []
    epoch: Annotated[int, Field(ge=0)] = 0
