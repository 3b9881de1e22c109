"""StatefulSets, DaemonSets and disruption budgets as people handle them with an unmodified kubectl."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.running import RunningCluster
from tests.cli.waiting import until


def workload(kind: str, name: str, image: str = "example.com/app:1", **spec: Any) -> str:
    labels = {"app": name}
    shape = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    body = {"selector": {"matchLabels": labels}, "template": shape, **spec}
    return json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": body})


def pods(cluster: RunningCluster, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("pods", "-l", f"app={name}")["items"]
    return found


def images(cluster: RunningCluster, name: str) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pods(cluster, name)}


def test_a_stateful_set_rolls_out_and_back(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=workload("StatefulSet", "db", replicas=3, serviceName="db"))
    said = cluster.ok("rollout", "status", "statefulset/db", "--timeout=40s")
    assert "statefulset rolling update complete 3 pods at revision db-" in said or "roll out complete" in said
    assert sorted(pod["metadata"]["name"] for pod in pods(cluster, "db")) == ["db-0", "db-1", "db-2"]
    cluster.ok("set", "image", "statefulset/db", "app=example.com/app:2")
    cluster.ok("rollout", "status", "statefulset/db", "--timeout=40s")
    assert images(cluster, "db") == {"example.com/app:2"}
    history = cluster.ok("rollout", "history", "statefulset/db").split("\n")
    assert [line.split()[0] for line in history[2:] if line.strip()] == ["1", "2"]
    assert cluster.ok("rollout", "undo", "statefulset/db") == "statefulset.apps/db rolled back\n"
    cluster.ok("rollout", "status", "statefulset/db", "--timeout=40s")
    assert images(cluster, "db") == {"example.com/app:1"}
    cluster.ok("scale", "statefulset/db", "--replicas=1")
    until(lambda: [pod["metadata"]["name"] for pod in pods(cluster, "db")] == ["db-0"], "one pod left")
    cluster.ok("delete", "statefulset", "db")


def test_a_daemon_set_rolls_out_and_back(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=workload("DaemonSet", "agent"))
    said = cluster.ok("rollout", "status", "daemonset/agent", "--timeout=40s")
    assert said.endswith('daemon set "agent" successfully rolled out\n')
    assert sorted(pod["spec"]["nodeName"] for pod in pods(cluster, "agent")) == ["fake-node-0", "fake-node-1"]
    cluster.ok("set", "image", "daemonset/agent", "app=example.com/app:2")
    cluster.ok("rollout", "status", "daemonset/agent", "--timeout=40s")
    assert images(cluster, "agent") == {"example.com/app:2"}
    assert cluster.ok("rollout", "undo", "daemonset/agent") == "daemonset.apps/agent rolled back\n"
    cluster.ok("rollout", "status", "daemonset/agent", "--timeout=40s")
    assert images(cluster, "agent") == {"example.com/app:1"}
    cluster.ok("delete", "daemonset", "agent")


def test_a_drain_honours_the_budget(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=workload("Deployment", "kept", replicas=4))
    cluster.ok("rollout", "status", "deployment/kept", "--timeout=40s")
    cluster.ok("create", "poddisruptionbudget", "kept", "--selector=app=kept", "--min-available=4")
    until(lambda: cluster.get("pdb", "kept")["status"].get("currentHealthy") == 4, "a counted budget")
    before = {pod["metadata"]["name"] for pod in pods(cluster, "kept")}
    node = pods(cluster, "kept")[0]["spec"]["nodeName"]  # other tests' pods may have left the four on either node
    strict = ("drain", node, "--force", "--ignore-daemonsets", "--pod-selector=app=kept")
    try:
        refused = cluster.kubectl(*strict, "--timeout=4s")
        assert refused.code != 0
        assert "Cannot evict pod as it would violate the pod's disruption budget." in refused.err
        assert {pod["metadata"]["name"] for pod in pods(cluster, "kept")} == before
        cluster.ok("patch", "pdb", "kept", "--type=merge", "-p", '{"spec": {"minAvailable": 3}}')
        cluster.ok(*strict, "--timeout=50s")
        nodes = {
            pod["spec"].get("nodeName") for pod in pods(cluster, "kept") if "deletionTimestamp" not in pod["metadata"]
        }
        assert node not in nodes
    finally:
        cluster.ok("uncordon", node)
        cluster.ok("delete", "pdb/kept", "deployment/kept")


def test_a_replication_controller_keeps_its_pods(cluster: RunningCluster) -> None:
    shape = json.loads(workload("Deployment", "old"))["spec"]["template"]
    spec = {"replicas": 2, "selector": {"app": "old"}, "template": shape}
    body = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old"}, "spec": spec}
    cluster.ok("apply", "-f", "-", stdin=json.dumps(body))
    cluster.ok("wait", "--for=jsonpath={.status.availableReplicas}=2", "rc/old", "--timeout=40s")
    cluster.ok("scale", "rc/old", "--replicas=1")
    cluster.ok("wait", "--for=jsonpath={.status.replicas}=1", "rc/old", "--timeout=40s")
    (left,) = [pod for pod in pods(cluster, "old") if "deletionTimestamp" not in pod["metadata"]]
    assert left["metadata"]["ownerReferences"][0]["kind"] == "ReplicationController"
    cluster.ok("delete", "rc/old")
