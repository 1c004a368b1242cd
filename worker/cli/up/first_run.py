"""Advice for a first run without settings."""

from __future__ import annotations

ADVICE = (
    "no account is configured: save the example on standard output as worker.toml, fill it in, "
    "`chmod 600 worker.toml`, then `cancel-worker check`; "
    "or try everything on simulated exchanges with `cancel-worker up --simulator`"
)

EXAMPLE = """\
# worker.toml
# Without redis_url, `cancel-worker up` embeds a Redis if none answers.
# redis_url = "redis://127.0.0.1:6379/0"

[accounts.main]                  # the alias is what strategies use
exchange   = "{exchange}"{pad}# one of: {exchanges}, or ccxt:<id>
api_key    = "..."
api_secret = "..."               # or api_secret_file = "/run/secrets/main"
# memo     = "..."               # {memo}
# passphrase = "..."             # {passphrase}
# category = "..."               # {category}
"""


def example() -> str:
    """Return an example of a settings file."""
    from worker.exchanges import EXCHANGES  # noqa: PLC0415  slow

    with_memo = [name for name, it in EXCHANGES.items() if it.capabilities.needs_memo]
    with_passphrase = [name for name, it in EXCHANGES.items() if it.capabilities.needs_passphrase]
    with_category = [name for name, it in EXCHANGES.items() if it.capabilities.categories]
    first = next(name for name, it in EXCHANGES.items() if not it.capabilities.warning)
    return EXAMPLE.format(
        exchange=first,
        pad=" " * max(1, 18 - len(first)),
        exchanges=", ".join(EXCHANGES),
        memo=f"needed by {', '.join(with_memo)}",
        passphrase=f"needed by {', '.join(with_passphrase)}",
        category=f"needed by {', '.join(with_category)}",
    )
