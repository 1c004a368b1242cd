"""Arguments and options of several commands."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.completion import account_aliases, sides, switch_ids
from worker.cli.output import duration
from worker.model.durations import duration_ms
from worker.model.outcomes import Outcome

MAX_WAIT_S = 86_400
MAX_MS = 366 * 86_400_000


def span_ms(text: str | int, *, unit: str = "", least_ms: int = 0, most_ms: int = MAX_MS) -> int:
    """Return a typed time span in ms.

    Raises:
        BadParameter: It is none, or out of bounds.
    """
    if isinstance(text, int):  # a default
        return text
    try:
        ms = duration_ms(text, unit=unit)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not least_ms <= ms <= most_ms:
        raise typer.BadParameter(
            f"give a time from {duration(least_ms)} to {duration(most_ms)}, such as 30s"
        )
    return ms


def seconds(text: str | float) -> float:
    """Return a typed time span in seconds; a number without a unit is seconds.

    Raises:
        BadParameter: It is none, or longer than a day.
    """
    if isinstance(text, float):
        return text
    return span_ms(text, unit="s", most_ms=MAX_WAIT_S * 1_000) / 1_000


def milliseconds(text: str | int) -> int:
    """Return a typed time span in ms; a number without a unit is ms.

    Raises:
        BadParameter: It is none.
    """
    return span_ms(text, unit="ms")


def with_unit(text: str | int) -> int:
    """Return a typed time span in ms; it needs a unit.

    Raises:
        BadParameter: It is none, or has no unit.
    """
    return span_ms(text)


AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Alias of the account in the settings.",
        autocompletion=account_aliases,
        show_default=False,
    ),
]
JobArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of a job, or its start.", show_default=False)
]
JobsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]…", help="Ids of dead letters, or their starts.")
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
        metavar="TIME",
        help="Wait at most this long for proof, such as 5 (seconds) or 2m; exit 1 without it.",
        parser=seconds,
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
    int | None,
    typer.Option(
        "--older-than",
        metavar="AGE",
        help="Only if given up longer ago than this, such as 90s or 2h.",
        parser=with_unit,
        show_default=False,
    ),
]
NewerOption = Annotated[
    int | None,
    typer.Option(
        "--newer-than",
        metavar="AGE",
        help="Only if given up within this time, such as 90s or 2h.",
        parser=with_unit,
        show_default=False,
    ),
]
SwitchArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWITCH",
        help="Id of a switch, printed by `arm`, its start, or its name.",
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
