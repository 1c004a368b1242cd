"""Where the web process may listen, and its document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose_services import TOP
from worker.config.settings import Settings
from worker.errors import SettingsError
from worker.web.app import document
from worker.web.server import check_listening

DOCUMENT = TOP / "ops" / "docs" / "openapi.json"
TLS: dict[str, Any] = {"cert_file": Path("cert.pem"), "key_file": Path("key.pem")}


@pytest.mark.parametrize(
    ("table", "behind_proxy", "words"),
    [
        ({}, False, None),
        ({"host": "localhost"}, False, None),
        ({"host": "127.8.9.10"}, False, None),
        ({"host": "::1"}, False, None),
        ({"host": "0.0.0.0"}, False, "--behind-proxy"),  # noqa: S104  it is refused
        ({"host": "::"}, False, "--behind-proxy"),
        ({"host": "10.0.0.1"}, False, "--behind-proxy"),
        ({"host": "desk.example"}, False, "--behind-proxy"),
        ({"host": "10.0.0.1"}, True, None),
        ({"host": "10.0.0.1", **TLS}, False, None),
        ({"cert_file": TLS["cert_file"]}, False, "belong together"),
    ],
)
def test_an_address_that_others_reach_needs_tls(
    table: dict[str, Any],
    behind_proxy: bool,  # noqa: FBT001  a column of the table
    words: str | None,
) -> None:
    """Or the word that a proxy in front has it."""
    settings = Settings(web=table)
    if words is None:
        check_listening(settings, behind_proxy=behind_proxy)
    else:
        with pytest.raises(SettingsError, match=words):
            check_listening(settings, behind_proxy=behind_proxy)


def test_the_document_is_the_one_that_is_kept() -> None:
    """`uv run python -m tests.support.web_document` writes it again."""
    assert json.loads(DOCUMENT.read_text()) == json.loads(json.dumps(document()))
