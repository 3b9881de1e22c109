"""A release's life with an unmodified Helm 4: Secrets in protobuf, server-side apply, waiting by status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Outcome, RunningCluster, run
from tests.clients.install_helm import HELM

CHART = Path(__file__).parents[2] / "charts" / "hello"


def helm(cluster: RunningCluster, *words: str) -> Outcome:
    assert HELM.exists(), "helm is missing; install: python -m tests.clients.install_helm"
    return run([str(HELM), *words], cluster.environment)


def ok(cluster: RunningCluster, *words: str) -> str:
    done = helm(cluster, *words)
    assert done.code == 0, f"helm {' '.join(words)}: {done.out}{done.err}"
    return done.out


@pytest.fixture
def chart() -> str:
    return str(CHART)


def test_install_upgrade_rollback_uninstall(cluster: RunningCluster, chart: str) -> None:
    wait = ("-n", "helm", "--wait", "--timeout", "40s")
    ok(cluster, "install", "page", chart, "--create-namespace", *wait)
    assert cluster.get("deployment", "page", "-n", "helm")["status"]["availableReplicas"] == 2
    ok(cluster, "upgrade", "page", chart, "--set", "replicaCount=3,greeting=Hi", *wait)
    assert cluster.get("cm", "page", "-n", "helm")["data"] == {"GREETING": "Hi"}
    ok(cluster, "rollback", "page", "1", *wait)
    assert cluster.get("deployment", "page", "-n", "helm")["spec"]["replicas"] == 2
    history = json.loads(ok(cluster, "history", "page", "-n", "helm", "-o", "json"))
    assert [entry["status"] for entry in history] == ["superseded", "superseded", "deployed"]
    ok(cluster, "uninstall", "page", "-n", "helm", "--wait")
    left = cluster.ok("get", "deploy,svc,cm", "-n", "helm", "-l", "app.kubernetes.io/instance=page", "-o", "name")
    assert left == ""


def test_a_dry_run_changes_nothing(cluster: RunningCluster, chart: str) -> None:
    shown = ok(cluster, "install", "nothing", chart, "--dry-run=server")
    assert "kind: Deployment" in shown
    assert cluster.kubectl("get", "deployment", "nothing").code == 1


def test_a_refused_upgrade_leaves_the_release_as_it_was(cluster: RunningCluster, chart: str) -> None:
    ok(cluster, "install", "strict", chart)
    refused = helm(cluster, "upgrade", "strict", chart, "--set", "service.port=99999999")
    assert refused.code == 1 and "spec.ports[0].port" in refused.err
    assert cluster.get("service", "strict")["spec"]["ports"][0]["port"] == 80
    ok(cluster, "uninstall", "strict")
