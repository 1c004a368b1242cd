"""`token`: made once, listed without its secret, revoked."""

from __future__ import annotations

import json
from typing import Any

from tests.support.shell import Run
from tests.support.world import World
from worker.model.authority import HookScope, Verb, digest_of
from worker.store.api_tokens import ApiTokens


def test_a_token_is_printed_once_and_stored_as_a_hash(world: World, run: Run) -> None:
    """Its name is taken until it is revoked."""
    code, out, err = run("token", "create", "bot", "--account", "ev", "--verb", "cancel")
    assert (code, err) == (0, "")
    secret = out.strip()
    assert out == f"{secret}\n"
    store = world.store()
    names: Any = store.client.keys("*")
    kept = str([store.client.get(name) for name in names if "web:token:" in name])
    assert kept != "[]"
    assert secret not in kept + str(names)
    token = ApiTokens(store).find(secret)
    assert token is not None
    assert (token.accounts, token.verbs) == (("ev",), frozenset({Verb.CANCEL}))

    code, _, err = run("token", "create", "bot")
    assert code == 1
    assert "there is a token bot already" in err
    code, out, _ = run("token", "list", "--json")
    (listed,) = json.loads(out)["tokens"]
    assert (listed["name"], listed["verbs"], listed["accounts"]) == ("bot", ["cancel"], ["ev"])
    _, out, _ = run("token", "list")
    assert "bot" in out
    assert secret not in out + digest_of(secret)
    assert run("token", "revoke", "bot")[0] == 0
    assert ApiTokens(store).find(secret) is None
    code, _, err = run("token", "revoke", "bot")
    assert code == 1
    assert "there is no token 'bot'" in err


def test_a_hook_has_one_scope_that_a_cancel_all_could_have(world: World, run: Run) -> None:
    """It is checked when the hook is made."""
    code, out, _ = run("token", "create", "tv", "--hook", "--account", "ix", "--pair", "btc_idr")
    assert code == 0
    assert out.startswith("/v1/hooks/cwh_")
    token = ApiTokens(world.store()).find(out.strip().rpartition("/")[2])
    assert token is not None
    assert (token.hook, token.verbs) == (HookScope("ix", "btc_idr"), frozenset())
    for arguments, words in (
        (("--hook",), "exactly one --account"),
        (("--hook", "--account", "ev", "--account", "ix"), "exactly one --account"),
        (("--hook", "--account", "ev", "--verb", "read"), "takes no --verb"),
        (("--hook", "--account", "nosuch"), "unknown account"),
        (("--pair", "btc_idr"), "for --hook"),
    ):
        code, _, err = run("token", "create", "other", *arguments)
        assert code == 2
        assert words in err
    code, _, err = run("token", "create", "a b")
    assert code == 2
    assert "a name has letters" in err
