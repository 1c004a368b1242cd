"""ops/k8s as written: valid, confined, and each part tied to the next."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.compose_services import TOP
from tests.support.kustomized import FOLDER, build, containers
from worker.config.settings import Engine

OBJECTS = build()
NAMES = [f"{found['kind']}/{found['metadata']['name']}" for found in OBJECTS]
DEPLOYMENTS = {
    found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == "Deployment"
}
KEDA = TOP / "tests" / "data" / "schemas" / "keda-scaledobject.json"
VERSION = "1.31"
KUSTOMIZE = shutil.which("kustomize") or ""


def one(kind: str, name: str) -> dict[str, Any]:
    """Return an object."""
    return OBJECTS[NAMES.index(f"{kind}/{name}")]


def test_objects_are_these() -> None:
    """Everything that a cluster needs, and all of it listed."""
    assert sorted(NAMES) == [
        "Deployment/beat",
        "Deployment/web",
        "Deployment/worker",
        "Namespace/cancel-worker",
        "NetworkPolicy/cancel-worker",
        "NetworkPolicy/ingress-to-web",
        "NetworkPolicy/to-the-internet",
        "PodDisruptionBudget/beat",
        "PodDisruptionBudget/web",
        "PodDisruptionBudget/worker",
        "ScaledObject/worker",
        "Service/web",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_object_fits_its_schema(name: str) -> None:
    """No field that the cluster does not know."""
    found = OBJECTS[NAMES.index(name)]
    if found["apiVersion"].startswith("keda"):
        jsonschema.Draft7Validator(json.loads(KEDA.read_text())).validate(found)
    else:
        kubernetes_validate.validate(found, VERSION, strict=True)


@pytest.mark.skipif(not KUSTOMIZE, reason="kustomize is not installed")
def test_kustomize_builds_the_same() -> None:
    """What is checked here is what would be applied."""
    built = subprocess.run([KUSTOMIZE, "build", FOLDER], capture_output=True, check=True)
    theirs = [found for found in yaml.safe_load_all(built.stdout) if found]

    def order(found: dict[str, Any]) -> tuple[str, str]:
        return found["kind"], found["metadata"]["name"]

    assert sorted(theirs, key=order) == sorted(OBJECTS, key=order)


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_pod_is_confined(name: str) -> None:
    """Non-root, nothing writable but /tmp, no rights, no token of the cluster."""
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    (container,) = containers(DEPLOYMENTS[name])
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert not container["image"].endswith(":latest")


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_probes_ask_for_life_and_readiness_apart(name: str) -> None:
    """A restart is no cure for a Redis that is down."""
    (container,) = containers(DEPLOYMENTS[name])
    ports = {port["name"] for port in container["ports"]}
    for probe, path in (
        ("startupProbe", "/healthz/live"),
        ("livenessProbe", "/healthz/live"),
        ("readinessProbe", "/healthz/ready"),
    ):
        assert container[probe]["httpGet"]["path"] == path
        assert container[probe]["httpGet"]["port"] in ports


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_what_a_pod_reads_is_mounted_from_a_secret(name: str) -> None:
    """No variable holds a secret; ops/docs/operations/deploy.md says how each is made."""
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    (container,) = containers(DEPLOYMENTS[name])
    mounted = {it["name"]: it["mountPath"] for it in container["volumeMounts"]}
    secrets = {it["name"]: it["secret"] for it in pod["volumes"] if "secret" in it}
    assert set(mounted) == {it["name"] for it in pod["volumes"]}
    page = (TOP / "ops" / "docs" / "operations" / "deploy.md").read_text()
    for it in container["env"]:
        if it["value"].startswith("/"):
            folder, _, key = it["value"].rpartition("/")
            (volume,) = [volume for volume, path in mounted.items() if path == folder]
            assert f"create secret generic {secrets[volume]['secretName']}" in page
            assert f"--from-file={key}=" in page
            items = secrets[volume].get("items", [{"path": key}])
            assert key in [item["path"] for item in items]


def test_pods_are_found_by_what_points_at_them() -> None:
    """Budgets, policies and spreads select labels that the pods have."""
    labels = {
        name: found["spec"]["template"]["metadata"]["labels"] for name, found in DEPLOYMENTS.items()
    }
    for name, found in DEPLOYMENTS.items():
        assert found["spec"]["selector"]["matchLabels"] == labels[name]
        (spread,) = found["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"] == labels[name]
        budget = one("PodDisruptionBudget", name)["spec"]
        assert budget["selector"]["matchLabels"] == labels[name]
        assert budget["minAvailable"] == 1
    policy = one("NetworkPolicy", "cancel-worker")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    chosen = policy["podSelector"]["matchLabels"].items()
    assert all(chosen <= pod.items() for pod in labels.values())
    out = one("NetworkPolicy", "to-the-internet")["spec"]["podSelector"]
    assert all(out["matchLabels"].items() <= pod.items() for pod in labels.values())
    (only,) = out["matchExpressions"]
    assert only["key"] in labels["worker"]
    assert only["values"] == [labels[name][only["key"]] for name in ("worker", "beat")]
    into = one("NetworkPolicy", "ingress-to-web")["spec"]["podSelector"]["matchLabels"]
    assert into == labels["web"]
    assert one("Service", "web")["spec"]["selector"] == labels["web"]


def test_worker_is_given_the_time_that_it_needs_to_stop() -> None:
    """Killed within its bound, it would leave requests whose outcome is unknown."""
    pod = DEPLOYMENTS["worker"]["spec"]["template"]["spec"]
    assert 1_000 * pod["terminationGracePeriodSeconds"] >= 2 * Engine().shutdown_ms


def test_scaler_scales_the_worker_and_never_to_none() -> None:
    """Without a worker emulated switches would not fire."""
    spec = one("ScaledObject", "worker")["spec"]
    assert spec["scaleTargetRef"]["name"] in DEPLOYMENTS
    assert "replicas" not in DEPLOYMENTS["worker"]["spec"], "the scaler and kubectl would fight"
    assert 2 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    assert DEPLOYMENTS["beat"]["spec"]["replicas"] == 2
