"""ops/k8s as kustomize builds it: the few of its features that are used there."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.compose_services import TOP

FOLDER = TOP / "ops" / "k8s"
KNOWN = {"apiVersion", "kind", "namespace", "resources", "images"}


def build() -> list[dict[str, Any]]:
    """Return every object, in the namespace and with the images that it will have."""
    plan = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(plan) <= KNOWN, "this reads no other feature of kustomize; teach it"
    objects: list[dict[str, Any]] = []
    for name in plan["resources"]:
        objects += [found for found in yaml.safe_load_all((FOLDER / name).read_text()) if found]
    unlisted = {path.name for path in FOLDER.glob("*.yaml")} - {*plan["resources"]}
    assert unlisted == {"kustomization.yaml"}
    images = {it["name"]: f"{it['newName']}:{it['newTag']}" for it in plan["images"]}
    for found in objects:
        if found["kind"] != "Namespace":
            found["metadata"]["namespace"] = plan["namespace"]
        for container in containers(found):
            container["image"] = images.get(container["image"], container["image"])
    return objects


def containers(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of an object that has pods."""
    spec: dict[str, Any] = found.get("spec", {}).get("template", {}).get("spec", {})
    held: list[dict[str, Any]] = spec.get("containers", [])
    return held
