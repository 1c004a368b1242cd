"""Who may do what over HTTP: tokens, their verbs and their accounts. Plain data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Form of a token's name."""
TOKEN_PREFIX = "cwt_"  # noqa: S105  begins every token, so that secret scanners find them
HOOK_PREFIX = "cwh_"
BEAT_PREFIX = "cwb_"


class Verb(StrEnum):
    """A kind of call that a token may make."""

    READ = "read"
    """All GETs."""
    CANCEL = "cancel"
    """Cancels, cancel-alls and holds."""
    SWITCH = "switch"
    """Arm, beat, track, untrack and disarm."""
    OPERATE = "operate"
    """Panic, dead letters, acknowledge."""


@dataclass(frozen=True, slots=True)
class HookScope:
    """The one scope that a webhook cancels."""

    account: str
    pair: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A client's authority.

    Attributes:
        digest: SHA-256 of the secret, as hex; the secret itself is kept nowhere.
        accounts: Accounts that it covers; empty for all.
        verbs: What it may do; empty for a webhook.
        hook: Scope of a webhook; None for a bearer token.
    """

    name: str
    digest: str
    created_ms: int
    accounts: tuple[str, ...] = ()
    verbs: frozenset[Verb] = frozenset()
    hook: HookScope | None = None

    @property
    def everywhere(self) -> bool:
        """Whether it covers every account."""
        return not self.accounts

    def covers(self, account: str) -> bool:
        """Return whether it covers an account."""
        return not self.accounts or account in self.accounts

    def covered(self, accounts: Collection[str]) -> list[str]:
        """Return those of the accounts that it covers."""
        return [account for account in accounts if self.covers(account)]


def digest_of(secret: str) -> str:
    """Return the form under which a secret is stored.

    Secrets are 256 random bits, so a plain hash cannot be reversed by guessing.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
