"""The walk of one `apply`, as docs/apply.md tells it: from a manifest to answering containers, and back to nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.machine import NODE, ROOT, Machine, Object, eventually, is_ready

pytestmark = pytest.mark.timeout(180)


def page(machine: Machine, pod: Object) -> str:
    return machine.run("curl", "-fsS", f"http://{pod['status']['podIP']}:8080/cgi-bin/index.cgi").out


def available(machine: Machine) -> bool:
    deployment = machine.get("/apis/apps/v1/namespaces/default/deployments/hello")
    return deployment is not None and deployment["status"].get("availableReplicas") == 2


def test_an_applied_manifest_becomes_two_pods_that_answer(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        told = machine.up().out
        assert "[4/4] ready after" in told
        assert f"export KUBECONFIG={machine.layout.kubeconfig('admin')}" in told
        assert "a cluster is already running" in machine.up().out
        machine.registry(port=5000)
        pushed = machine.run(sys.executable, "-m", "nodeagent.images.push_example").out
        assert pushed.startswith("127.0.0.1:5000/example/hello:v1@sha256:")

        # stops 1 to 7: read, merged, committed; the fields belong to the manager that applied them
        manifest = str(ROOT / "manifests/app.yaml")
        assert machine.tiphys("apply", "-f", manifest).out == "deployment.apps/hello created\n"
        deployment = machine.get("/apis/apps/v1/namespaces/default/deployments/hello")
        assert deployment is not None
        assert ("tiphys", "Apply") in {(m["manager"], m["operation"]) for m in deployment["metadata"]["managedFields"]}

        # stops 8 to 11: ReplicaSet, Pods, node, containers, and the status back up to the Deployment
        eventually(lambda: available(machine), "the Deployment is available")
        pods = machine.pods("app=hello")
        assert len(pods) == 2 and all(is_ready(pod) for pod in pods)
        assert {pod["spec"]["nodeName"] for pod in pods} == {NODE}
        assert len({pod["status"]["podIP"] for pod in pods}) == 2
        for pod in pods:
            assert page(machine, pod) == f"Hello from {pod['metadata']['name']}\n"
        _pod_reaches_pod(machine, *pods)
        _told_about(machine, pods)
        assert machine.tiphys("apply", "-f", manifest).out == "deployment.apps/hello unchanged\n"

        kinds = {text.split()[0] for text in machine.leftovers()}  # the check after `down` would see what is left
        assert kinds == {"process", "mount", "cgroup", "link", "nftables"}
        deleted = machine.tiphys("delete", "-f", manifest).out
        assert deleted == 'deployment.apps "hello" deleted from default namespace\n'
        eventually(lambda: machine.pods("app=hello") == [], "the pods are gone")
        eventually(lambda: machine.containers() == {}, "the containers are gone")
        replicasets = machine.get("/apis/apps/v1/namespaces/default/replicasets")
        assert replicasets is not None and replicasets["items"] == []
        assert "stopped the components" in machine.down().out
        status = machine.tiphys("status", "--data-dir", str(machine.layout.root), check=False)
        assert (status.code, status.out[:21]) == (1, "no cluster is running")
        assert [text for text in machine.leftovers() if "docker-registry" not in text] == []


def _pod_reaches_pod(machine: Machine, one: Object, other: Object) -> None:
    """From inside of the first pod's network, with the container's own program."""
    pid = next(pid for pid, words in machine.containers().items() if words.startswith("httpd") and _in(pid, one))
    url = f"http://{other['status']['podIP']}:8080/cgi-bin/index.cgi"
    answer = machine.run("nsenter", f"--net=/proc/{pid}/ns/net", "busybox", "wget", "-qO-", url).out
    assert answer == f"Hello from {other['metadata']['name']}\n"


def _in(pid: int, pod: Object) -> bool:
    return str(pod["metadata"]["uid"]) in Path(f"/proc/{pid}/cgroup").read_text()


def _told_about(machine: Machine, pods: list[Object]) -> None:
    """What the command line says about the running example."""
    name = pods[0]["metadata"]["name"]
    assert machine.tiphys("logs", name).out == f"listening on port 8080 as {name}\n"
    follower = machine.start(sys.executable, "-m", "tiphys.cli.main", "logs", "-f", name)
    assert follower.stdout is not None
    assert follower.stdout.readline() == f"listening on port 8080 as {name}\n"
    assert follower.poll() is None
    follower.terminate()

    wide = machine.tiphys("get", "pods", "-o", "wide").out.splitlines()
    assert wide[0].split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    rows = {line.split()[0]: line.split() for line in wide[1:]}
    assert set(rows) == {pod["metadata"]["name"] for pod in pods}
    row = rows[name]
    assert (row[1], row[2], row[3], row[5], row[6]) == ("1/1", "Running", "0", pods[0]["status"]["podIP"], NODE)
    names = json.loads(machine.tiphys("get", "deployments,replicasets", "-o", "json").out)["items"]
    assert [item["kind"] for item in names] == ["Deployment", "ReplicaSet"]

    described = machine.tiphys("describe", "pod", name).out
    for part in (f"Name:             {name}", "Controlled By:  ReplicaSet/hello-", "Successfully pulled image"):
        assert part in described
    reasons = {line.split()[2] for line in machine.tiphys("events").out.splitlines()[1:]}
    assert reasons >= {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulling", "Pulled", "Created", "Started"}
