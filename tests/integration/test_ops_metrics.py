"""Rules and dashboards under `ops/`, judged against what real processes export."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pages import get, served_at
from tests.support.polling import eventually
from tests.support.promql import Exported, PromqlError
from tests.support.world import World
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis, own_port

OPS = Path(__file__).parents[2] / "ops"
PROMETHEUS = OPS / "prometheus"
GRAFANA = OPS / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RUNBOOK = OPS / "docs" / "operations" / "runbook.md"
SECTION = ("Meaning.", "Check.", "Do.", "Fixed when.")
LABEL_IN_TEXT = re.compile(r"\$labels\.(\w+)")
LABEL_IN_LEGEND = re.compile(r"{{\s*(\w+)\s*}}")
VARIABLE = re.compile(r"label_values\((\w+), (\w+)\)")
FETCH_S = 100


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """What a worker and a beat export, one switch being armed."""
    folder = tmp_path_factory.mktemp("ops")
    with EmbeddedRedis(folder / "redis") as server, Simulator(seed=7) as sim:
        ports = {"port": own_port(), "beat_port": own_port()}
        world = World(sim, server.url, folder, tables={"metrics": ports})
        try:
            worker, beat = world.worker(wait=False), world.beat()
            worker.wait_ready()
            world.producer().arm("ev", order_ids=["a1"], timeout_ms=600_000, name="grid")

            def scraped() -> str:
                text = get(served_at(worker), "/metrics")[1]
                return text if "\ncancel_worker_celery_beat_lag_seconds " in text else ""

            text = eventually(scraped, within_ms=60_000, what="a tick run")
            yield Exported.read(text, get(served_at(beat), "/metrics")[1])
        finally:
            world.close()


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's own checker; without it nothing here is proven, so it must be present."""
    found = subprocess.run(
        [OPS / "debian-tool", "prometheus", "promtool"],
        capture_output=True,
        text=True,
        timeout=FETCH_S,
        check=False,
    )
    assert found.returncode == 0, f"promtool cannot be had: {found.stderr}"
    return found.stdout.strip()


def run(promtool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def rules() -> list[dict[str, Any]]:
    """Return every alert."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def judge_rule(exported: Exported, rule: dict[str, Any]) -> None:
    """Judge an alert: what it asks for, and the labels that its texts name."""
    labels = exported.judge(rule["expr"])
    for text in rule["annotations"].values():
        for label in LABEL_IN_TEXT.findall(text):
            if label not in labels:
                raise PromqlError(f"{rule['alert']}: no label {label} to name")


def judge_dashboard(exported: Exported, dashboard: dict[str, Any]) -> None:
    """Judge every panel and variable of a dashboard."""
    variables = dashboard["templating"]["list"]
    for variable in variables:
        found = VARIABLE.fullmatch(variable["query"])
        if found is None:
            raise PromqlError(f"variable {variable['name']}: {variable['query']}")
        exported.label_values(found[1], found[2])
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m")
            for variable in variables:
                text = text.replace(f"${variable['name']}", ".*")
            try:
                labels = exported.judge(text)
            except PromqlError as error:
                raise PromqlError(f"{panel['title']}: {error}") from None
            for label in LABEL_IN_LEGEND.findall(target["legendFormat"]):
                if label not in labels:
                    raise PromqlError(f"{panel['title']}: no label {label} for the legend")


def test_rules_ask_for_what_is_exported(exported: Exported) -> None:
    """And a name of a metric or a label that is not, in any of them, is found."""
    for rule in rules():
        judge_rule(exported, rule)
        for found in set(re.findall(r"\b(?:cancel_worker\w+|up\b)", rule["expr"])):
            broken = rule | {"expr": re.sub(rf"\b{found}\b", f"{found}x", rule["expr"])}
            with pytest.raises(PromqlError, match=r"no metric|no counter"):
                judge_rule(exported, broken)
        if " by (" in rule["expr"]:
            with pytest.raises(PromqlError, match="no label"):
                judge_rule(exported, rule | {"expr": rule["expr"].replace(" by (", " by (xx, ")})


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_ask_for_what_is_exported(exported: Exported, path: Path) -> None:
    """And a panel that asks for anything else, whichever it is, is found."""
    dashboard = json.loads(path.read_text())
    judge_dashboard(exported, dashboard)
    for number, panel in enumerate(dashboard["panels"]):
        for at in range(len(panel["targets"])):
            for wrong in ("expr", "legendFormat"):
                broken = copy.deepcopy(dashboard)
                target = broken["panels"][number]["targets"][at]
                target["legendFormat"] += " {{xx}}" if wrong == "legendFormat" else ""
                if wrong == "expr":
                    target["expr"] = re.sub(r"\b(cancel_worker|process)_", r"\1x_", target["expr"])
                with pytest.raises(PromqlError, match=re.escape(panel["title"])):
                    judge_dashboard(exported, broken)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_can_be_drawn(path: Path, promtool: str, tmp_path: Path) -> None:
    """PromQL that Prometheus takes, a provisioned source, panels that do not overlap."""
    dashboard = json.loads(path.read_text())
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    uids = {row["uid"] for row in source["datasources"]}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    records: list[dict[str, str]] = []
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] in uids
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        columns, lines = range(grid["x"], grid["x"] + grid["w"]), range(grid["h"])
        cells = {(x, grid["y"] + y) for x in columns for y in lines}
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"]["uid"] in uids
            expr = target["expr"].replace("$__rate_interval", "1m").replace("$exchange", ".*")
            records.append({"record": f"r{len(records)}", "expr": expr})
    file = tmp_path / "records.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    told = run(promtool, "check", "rules", file)
    assert told.returncode == 0, told.stdout + told.stderr


def test_dashboards_are_found_by_grafana() -> None:
    """By the file that provisions them; their uids and titles are their own."""
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/cancel-worker.yml").read_text())[
        "providers"
    ][0]
    assert (provider["type"], provider["options"]) == ("file", {"path": "${DASHBOARDS}"})
    shown = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len(shown) >= 2
    for name in ("uid", "title"):
        assert len({it[name] for it in shown}) == len(shown)


def test_alerts_fire_and_are_quiet_as_their_tests_say(promtool: str) -> None:
    """Each alert has a test in which it fires and one in which it does not."""
    for kind, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        told = run(promtool, "check", kind, PROMETHEUS / name)
        assert told.returncode == 0, told.stdout + told.stderr
    told = run(promtool, "test", "rules", PROMETHEUS / "alerts_test.yml")
    assert told.returncode == 0, told.stdout + told.stderr
    cases = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    looks = [look for case in cases for look in case["alert_rule_test"]]
    for rule in rules():
        expected = [it["exp_alerts"] for it in looks if it["alertname"] == rule["alert"]]
        assert any(expected), f"{rule['alert']} is never seen to fire"
        assert not all(expected), f"{rule['alert']} is never seen to be quiet"


def test_a_broken_alert_fails_its_test(promtool: str, tmp_path: Path) -> None:
    """Whichever it is, and whether it never fires or always does."""
    document = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())
    for rule in rules():
        for always in (False, True):
            broken = rule | {"expr": f"vector(1) > {0 if always else 1}", "for": "0s"}
            folder = tmp_path / f"{rule['alert']}-{always}"
            folder.mkdir()
            groups = {"groups": [{"name": "broken", "rules": [broken]}]}
            (folder / "alerts.yml").write_text(yaml.safe_dump(groups))
            cases = [
                case
                for case in document["tests"]
                if case["alert_rule_test"][0]["alertname"] == rule["alert"]
            ]
            mine = yaml.safe_dump(document | {"tests": cases})
            (folder / "alerts_test.yml").write_text(mine)
            told = run(promtool, "test", "rules", folder / "alerts_test.yml")
            assert told.returncode != 0, rule["alert"]
            assert "got:" in told.stdout + told.stderr, told.stderr  # not because a file is missing


def test_each_alert_has_its_section_of_the_runbook() -> None:
    """Its meaning, what to check, what to do, how to see that it is fixed."""
    sections = {
        part.partition("\n")[0].strip(): part for part in RUNBOOK.read_text().split("\n## ")[1:]
    }
    assert sorted(sections) == sorted(rule["alert"] for rule in rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert (
            rule["annotations"]["runbook_url"]
            == f"ops/docs/operations/runbook.md#{rule['alert'].lower()}"
        )
        said = [f"**{heading}**" in sections[rule["alert"]] for heading in SECTION]
        assert all(said), f"{rule['alert']}: {said}"


def test_metrics_that_the_runbook_names_are_exported(exported: Exported) -> None:
    """A person at 3 a.m. should find them."""
    for name in re.findall(r"cancel_worker_\w+", RUNBOOK.read_text()):
        assert name in exported.metrics, name


def test_http_page_names_every_metric_with_its_labels(exported: Exported) -> None:
    """And none that is not exported."""
    row = re.compile(r"^\| `(cancel_worker_\w+)` \|(.*?)\|", re.MULTILINE)
    rows = row.findall((OPS / "docs" / "http.md").read_text())
    shown = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    found: dict[str, set[str]] = {}
    for name, labels in exported.metrics.items():
        family = re.sub(r"_(bucket|count|sum)$", "", name)
        if family.startswith("cancel_worker_"):
            found.setdefault(family, set()).update(set(labels) - {"le"})
    assert shown == found


def test_no_label_grows_without_bound(exported: Exported) -> None:
    """Exchanges, accounts, and words of this program alone; of names there are at most 100."""
    known = {"exchange", "account", "outcome", "kind", "state", "limit", "owner", "le"}
    for metric, labels in exported.metrics.items():
        names = {"name"} if metric == "cancel_worker_named_switch_deadline_seconds" else set()
        assert set(labels) <= known | names, metric
    assert "a1" not in {
        value for labels in exported.metrics.values() for seen in labels.values() for value in seen
    }
