"""A Deployment's life on a real node, driven by an unmodified kubectl."""

from __future__ import annotations

import json
import re

import pytest

from tests.machine import KUBECTL, NODE, Machine, eventually, is_ready, is_running
from tests.nodeagent.registry import Registry
from tests.scenarios.pods import SLEEPER, busybox_image, container, deployment

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    return registry.push(busybox_image(version="one"), "web", "v1")


def test_a_rollout_is_scaled_followed_broken_and_undone(machine: Machine, image: str) -> None:
    machine.apply(deployment("web", 2, container(image)))
    status = machine.kubectl("rollout", "status", "deployment/web", "--timeout=40s").out
    assert status.endswith('deployment "web" successfully rolled out\n')
    assert machine.kubectl("scale", "deployment/web", "--replicas=3").out == "deployment.apps/web scaled\n"
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=40s")
    before = {pod["metadata"]["uid"] for pod in machine.pods("run=web") if is_ready(pod)}
    assert len(before) == 3

    broken = image.replace(":v1", ":missing")
    machine.kubectl("set", "image", "deployment/web", f"main={broken}")
    stuck = eventually(
        lambda: next((p for p in machine.pods("run=web") if p["metadata"]["uid"] not in before), None), "a new pod"
    )
    name = stuck["metadata"]["name"]
    seen: set[str] = set()

    def backs_off() -> bool:
        statuses = machine.pods("run=web")
        for pod in statuses:
            if pod["metadata"]["name"] == name:
                seen.update(s["state"].get("waiting", {}).get("reason", "") for s in _statuses(pod))
        return "ImagePullBackOff" in seen

    eventually(backs_off, "the pull backs off")
    assert "ErrImagePull" in seen
    described = machine.kubectl("describe", "pod", name).out
    assert re.search(rf'Failed to pull image "{re.escape(broken)}": .*not found', described)
    assert "Error: ErrImagePull" in described and "Error: ImagePullBackOff" in described
    waits = machine.kubectl("rollout", "status", "deployment/web", "--timeout=1s", check=False)
    assert waits.code == 1 and "error: timed out waiting" in waits.err
    assert before <= {pod["metadata"]["uid"] for pod in machine.pods("run=web") if is_ready(pod)}

    assert machine.kubectl("rollout", "undo", "deployment/web").out == "deployment.apps/web rolled back\n"
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=40s")
    eventually(lambda: machine.get(f"/api/v1/namespaces/default/pods/{name}") is None, "the broken pod is gone")
    assert {pod["metadata"]["uid"] for pod in machine.pods("run=web")} == before
    history = machine.kubectl("rollout", "history", "deployment/web").out
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]


def _statuses(pod: dict[str, object]) -> list[dict[str, dict[str, dict[str, str]]]]:
    status = pod["status"]
    assert isinstance(status, dict)
    found: list[dict[str, dict[str, dict[str, str]]]] = status.get("containerStatuses", [])
    return found


def test_a_new_image_replaces_every_pod(machine: Machine, registry: Registry, image: str) -> None:
    newer = registry.push(busybox_image(version="two"), "web", "v2")
    script = f"cat /data/version; {SLEEPER}"
    machine.apply(deployment("page", 2, container(image, script)))
    machine.kubectl("rollout", "status", "deployment/page", "--timeout=40s")
    before = {pod["metadata"]["uid"] for pod in machine.pods("run=page")}
    machine.apply(deployment("page", 2, container(newer, script)))
    machine.kubectl("rollout", "status", "deployment/page", "--timeout=40s")
    ready = eventually(
        lambda: p if len(p := machine.pods("run=page")) == 2 and all(map(is_ready, p)) else None, "two new pods"
    )
    assert not before & {pod["metadata"]["uid"] for pod in ready}
    assert {machine.log(pod["metadata"]["name"]) for pod in ready} == {"two"}
    machine.kubectl("delete", "deployment", "page")
    eventually(lambda: machine.pods("run=page") == [], "the pods are gone")


def test_kubectl_reads_and_watches_what_runs(machine: Machine, image: str) -> None:
    watcher = machine.start(KUBECTL, "get", "pods", "-l", "run=seen", "-w", "--no-headers")
    counting = "i=0; trap 'exit 0' TERM; while true; do echo line $i; i=$((i+1)); sleep 0.1; done"
    machine.apply(deployment("seen", 1, container(image, counting)))
    machine.kubectl("rollout", "status", "deployment/seen", "--timeout=40s")
    (pod,) = machine.pods("run=seen")
    name = pod["metadata"]["name"]
    follower = machine.start(KUBECTL, "logs", "-f", name)
    assert follower.stdout is not None and watcher.stdout is not None
    assert [follower.stdout.readline() for _ in range(4)] == [f"line {n}\n" for n in range(4)]
    assert machine.log(name, "--tail=1").startswith("line ")
    wide = machine.kubectl("get", "pods", "-l", "run=seen", "-o", "wide", "--no-headers").out.split()
    assert wide[:4] == [name, "1/1", "Running", "0"] and wide[5:7] == [pod["status"]["podIP"], NODE]
    machine.kubectl("delete", "deployment", "seen")
    machine.gone(name)
    assert follower.wait(10) == 0  # the log ends with its container
    states: list[str] = []
    while not states or states[-1] not in ("Terminating", "Completed"):
        states.append(watcher.stdout.readline().split()[2])
    assert states[0] == "Pending" and "Running" in states


def test_explain_diff_and_server_side_apply_work(machine: Machine, image: str) -> None:
    assert "FIELD: replicas <integer>" in machine.kubectl("explain", "deployment.spec.replicas").out
    body = json.dumps(deployment("plain", 0, container(image)))
    applied = machine.kubectl("apply", "--server-side", "-f", "-", stdin=body)
    assert applied.out == "deployment.apps/plain serverside-applied\n"
    changed = machine.kubectl("diff", "--server-side", "-f", "-", stdin=body.replace(":v1", ":v9"), check=False)
    assert changed.code == 1 and f"+      - image: {image.replace(':v1', ':v9')}" in changed.out.replace(
        "+        ", "+      - "
    )
    assert machine.kubectl("delete", "deployment", "plain").code == 0


def test_nothing_of_a_deleted_deployment_runs(machine: Machine) -> None:
    running = [pod for pod in machine.pods("run=web") if is_running(pod)]
    assert len(running) == 3 and len(machine.containers()) >= 3
    machine.kubectl("delete", "deployment", "web", "--cascade=foreground")
    eventually(lambda: machine.pods() == [], "the pods are gone")
    eventually(lambda: machine.containers() == {}, "the containers are gone")
