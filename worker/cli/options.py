"""Arguments and options that several commands share."""

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
AllOption = Annotated[
    bool, typer.Option("--all", help="Every dead letter there is, or that is selected.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do not.")]
PairOption = Annotated[
    str | None,
    typer.Option("--pair", metavar="PAIR", help="Such as btc_idr, where the exchange needs it."),
]
SideOption = Annotated[
    str | None,
    typer.Option(
        "--side",
        metavar="SIDE",
        help="buy or sell, where the exchange needs it.",
        autocompletion=sides,
    ),
]
WaitOption = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="Wait for the proof at most so long; exit 1 if it has not come by then.",
        callback=_bounded,
    ),
]
DirectOption = Annotated[
    bool,
    typer.Option(
        "--direct",
        help="Send from here, without workers, and without Redis if it is away; nothing is "
        "recorded. Needs the account's keys. Tries for --wait seconds, 30 if not given.",
    ),
]
OfAccountOption = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="ACCOUNT",
        help="Only what is of this account.",
        autocompletion=account_aliases,
    ),
]
OfExchangeOption = Annotated[
    str | None,
    typer.Option(
        "--exchange", metavar="EXCHANGE", help="Only what is of this exchange.", show_default=False
    ),
]
OutcomeOption = Annotated[
    Outcome | None,
    typer.Option("--outcome", help="Only with this outcome.", show_default=False),
]
ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Only with this in the reason."),
]
OlderOption = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help="Only what was given up before, as 90s, 2h."),
]
NewerOption = Annotated[
    str | None,
    typer.Option("--newer-than", metavar="AGE", help="Only what was given up since, as 90s, 2h."),
]
SwitchArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWITCH",
        help="Id of a switch, as `arm` printed it.",
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
        help="Only while nobody has armed it again since this epoch.",
        show_default=False,
    ),
]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Keep showing it until Ctrl-C.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Really do it.")]
