"""Arguments and options of several commands."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.completion import account_aliases, sides, switch_ids
from worker.model.outcomes import Outcome

MAX_WAIT_S = 86_400


def _bounded(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= MAX_WAIT_S:
        raise typer.BadParameter(f"give seconds from 0 to {MAX_WAIT_S}, such as 5")
    return value


AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Alias of the account in the settings.",
        autocompletion=account_aliases,
        show_default=False,
    ),
]
JobArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of a job.", show_default=False)]
JobsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]…", help="Ids of dead letters.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only report what would be done.")]
PairOption = Annotated[
    str | None,
    typer.Option("--pair", metavar="PAIR", help="For example btc_idr, if the exchange needs it."),
]
SideOption = Annotated[
    str | None,
    typer.Option(
        "--side",
        metavar="SIDE",
        help="buy or sell, if the exchange needs it.",
        autocompletion=sides,
    ),
]
PrefixOption = Annotated[
    str | None,
    typer.Option(
        "--client-id-prefix",
        metavar="TEXT",
        help="Only orders whose client order id begins with this.",
        show_default=False,
    ),
]
KeepStopsOption = Annotated[
    bool,
    typer.Option(
        "--keep-stops", help="Leave stop, take-profit and trigger orders, which protect positions."
    ),
]
WaitOption = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="Wait at most this long for proof; exit 1 without it.",
        callback=_bounded,
    ),
]
DirectOption = Annotated[
    bool,
    typer.Option(
        "--direct",
        help="Send from this process, without workers, and without Redis if it is down; nothing is "
        "recorded. Needs the account's keys. Retries for --wait seconds, by default 30.",
    ),
]
OfAccountOption = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="ACCOUNT",
        help="Only of this account.",
        autocompletion=account_aliases,
    ),
]
OfExchangeOption = Annotated[
    str | None,
    typer.Option(
        "--exchange", metavar="EXCHANGE", help="Only of this exchange.", show_default=False
    ),
]
OutcomeOption = Annotated[
    Outcome | None,
    typer.Option("--outcome", help="Only with this outcome.", show_default=False),
]
ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Only if the reason contains this."),
]
OlderOption = Annotated[
    str | None,
    typer.Option(
        "--older-than",
        metavar="AGE",
        help="Only if given up longer ago than this, such as 90s or 2h.",
    ),
]
NewerOption = Annotated[
    str | None,
    typer.Option(
        "--newer-than", metavar="AGE", help="Only if given up within this time, such as 90s or 2h."
    ),
]
SwitchArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWITCH",
        help="Id of a switch, printed by `arm`.",
        autocompletion=switch_ids,
        show_default=False,
    ),
]
EpochOption = Annotated[
    int | None,
    typer.Option(
        "--epoch",
        metavar="N",
        min=1,
        help="Only if the switch still has this epoch: no one has armed it again.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, help="Most rows to print.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Update every second until Ctrl-C.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Confirm.")]
