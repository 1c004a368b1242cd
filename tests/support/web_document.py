"""Write the OpenAPI document that is kept: `uv run python -m tests.support.web_document`."""

from __future__ import annotations

import json

from tests.support.compose_services import TOP
from worker.web.app import document

if __name__ == "__main__":
    text = json.dumps(document(), indent=1)
    (TOP / "ops" / "docs" / "openapi.json").write_text(text + "\n")
