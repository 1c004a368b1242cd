"""A switch as its record in Redis shows it."""

from __future__ import annotations

from collections.abc import Iterable

from worker.model.constants import EVERYTHING
from worker.model.switch_scopes import read_items, read_names
from worker.model.switches import SwitchRecord, SwitchState


def read_record(fields: dict[str, str], order_ids: Iterable[str]) -> SwitchRecord:
    """Return the switch of these fields of its record, and these orders."""

    def maybe(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    pairs, prefix = read_items(item for item in fields["pairs"].split(",") if item)
    by_id, by_client = read_names(order_ids)
    return SwitchRecord(
        id=fields["id"],
        account=fields["account"],
        lane=fields["lane"],
        pairs=pairs,
        order_ids=by_id,
        client_order_ids=by_client,
        client_id_prefix=prefix,
        stops=fields.get("stops", ""),
        timeout_ms=int(fields["timeout_ms"]),
        deadline_ms=int(fields["deadline_ms"]),
        epoch=int(fields["epoch"]),
        state=SwitchState(fields["state"]),
        beat_ms=int(fields["beat_ms"]),
        fires_ms=(maybe("fires_ms") or 0) if fields["native"] == "1" else None,
        synced_ms=maybe("synced_ms"),
        changed_ms=maybe("changed_ms"),
        tripped_ms=maybe("tripped_ms"),
        native=fields["native"] == "1",
        held_why=fields.get("held_why", ""),
        name=fields.get("name", ""),
        replaced_by=fields.get("replaced_by", ""),
        everything=fields["pairs"] == EVERYTHING,
    )
