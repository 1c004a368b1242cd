"""`token`: the tokens of HTTP clients."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli import output, resources
from worker.cli.errors import MISUSED, CliError
from worker.cli.options import JsonOption, PairOption, SideOption
from worker.cli.parameters import PlainCommand
from worker.model.authority import NAME, HookScope, Token, Verb

HEADERS = ("NAME", "VERBS", "ACCOUNTS", "CREATED")
EVERY = "all"

app = typer.Typer(help="Tokens of HTTP clients.", rich_markup_mode=None)


@app.command("create", cls=PlainCommand)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it.")],
    *,
    accounts: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="A", help="Covers this account; default: every one."),
    ] = None,
    verbs: Annotated[
        list[Verb] | None,
        typer.Option("--verb", help="May do this; repeatable; default: everything."),
    ] = None,
    hook: Annotated[
        bool,
        typer.Option(
            "--hook", help="A webhook's secret address instead: cancels one fixed scope only."
        ),
    ] = False,
    pair: PairOption = None,
    side: SideOption = None,
) -> None:
    """Make a token and print it; it cannot be shown again.

    Any client that has it may act with it: keep it as a password.
    """
    if not NAME.fullmatch(name):
        raise CliError("a name has letters, digits, `.`, `_` and `-`, at most 64", code=MISUSED)
    scope = _scope(accounts, verbs, pair, side) if hook else None
    if not hook and (pair or side):
        raise CliError("--pair and --side are for --hook", code=MISUSED)
    listing = resources.open_listing()
    chosen = frozenset(verbs or Verb)
    secret = resources.open_api_tokens().create(
        name,
        now_ms=listing.now_ms(),
        accounts=tuple(dict.fromkeys(accounts or ())),
        verbs=frozenset() if hook else chosen,
        hook=scope,
    )
    if secret is None:
        raise CliError(f"there is a token {name} already; revoke it, or choose another name")
    output.say(f"/v1/hooks/{secret}" if hook else secret)


@app.command("list", cls=PlainCommand)
def list_tokens(as_json: JsonOption = False) -> None:
    """List the tokens; never their secrets."""
    tokens = resources.open_api_tokens().every()
    if as_json:
        output.document({"tokens": [_described(token) for token in tokens]})
        return
    rows = [
        (
            token.name,
            _verbs(token),
            " ".join(token.accounts) or EVERY,
            output.moment(token.created_ms),
        )
        for token in tokens
    ]
    output.table(HEADERS, rows, nothing="no tokens")


@app.command("revoke", cls=PlainCommand)
def revoke(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a token.")]) -> None:
    """Revoke a token: it is refused from the next call on."""
    if not resources.open_api_tokens().revoke(name):
        raise CliError(f"there is no token {name[:64]!r}")
    output.say(f"{name} revoked")


def _scope(
    accounts: list[str] | None, verbs: list[Verb] | None, pair: str | None, side: str | None
) -> HookScope:
    """Return the scope of a webhook, checked as a cancel-all of it would be."""
    if not accounts or len(accounts) != 1:
        raise CliError("--hook needs exactly one --account", code=MISUSED)
    if verbs:
        raise CliError("--hook takes no --verb: it cancels one scope only", code=MISUSED)
    resources.open_producer().check_cancel_all(accounts[0], pair=pair, side=side)
    return HookScope(accounts[0], pair or "", side or "")


def _verbs(token: Token) -> str:
    if token.hook is None:
        return " ".join(sorted(token.verbs)) if len(token.verbs) < len(Verb) else EVERY
    scope = filter(None, (token.hook.pair, token.hook.side))
    return " ".join(["hook:", "cancel-all", *scope])


def _described(token: Token) -> dict[str, object]:
    hook = token.hook
    return {
        "name": token.name,
        "accounts": list(token.accounts),
        "verbs": sorted(token.verbs),
        "hook": {"pair": hook.pair or None, "side": hook.side or None} if hook else None,
        "created_ms": token.created_ms,
    }
