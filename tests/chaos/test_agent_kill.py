"""kill -9 of each component in turn: the supervisor starts it again, no container notices, nothing is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.machine import Machine, Object, eventually, is_ready, is_running, terminated
from tests.nodeagent.registry import Registry
from tests.scenarios.pods import busybox_image, config_map, container, deployment, pod

pytestmark = pytest.mark.timeout(180)
TICKING = "trap 'exit 0' TERM; i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.1; done"


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    return registry.push(busybox_image(version="one"), "web", "v1")


@pytest.fixture(scope="module")
def web(machine: Machine, image: str) -> dict[int, str]:
    """Two replicas that run through all of this module; the processes they had at the start."""
    machine.apply(deployment("web", 2, container(image, TICKING)))
    eventually(lambda: sum(map(is_ready, machine.pods("run=web"))) == 2, "the Deployment is available")
    return processes(machine)


def processes(machine: Machine) -> dict[int, str]:
    """The shells of the replicas; their `sleep` children come and go."""
    return {pid: words for pid, words in machine.containers().items() if "tick" in words}


def undisturbed(machine: Machine, web: dict[int, str]) -> None:
    """The replicas are the same processes, were never restarted, and still write their logs."""
    assert processes(machine) == web
    pods = machine.pods("run=web")
    assert len(pods) == 2 and all(map(is_ready, pods))
    assert [s["restartCount"] for p in pods for s in p["status"]["containerStatuses"]] == [0, 0]
    name = pods[0]["metadata"]["name"]
    before = machine.log(name, "--tail=1")
    eventually(lambda: machine.log(name, "--tail=1") != before, "the log goes on")


def fresh_pod_runs(machine: Machine, image: str, name: str) -> None:
    """The cluster does its work: a new pod is scheduled, run, seen, and deleted."""
    machine.apply(pod(name, container(image)))
    machine.wait_pod(name, is_running)
    machine.kubectl("delete", "pod", name)
    machine.gone(name)


@pytest.mark.parametrize("component", ["nodeagent", "apiserver", "controllers", "scheduler"])
def test_a_killed_component_comes_back_and_no_container_notices(
    machine: Machine, web: dict[int, str], image: str, component: str
) -> None:
    machine.apply(config_map(f"before-{component}", word="kept"))
    before = machine.get(f"/api/v1/namespaces/default/configmaps/before-{component}")
    old = machine.kill(component)
    machine.restarted(component, old)
    eventually(lambda: answers(machine), "the API server is ready")
    assert machine.get(f"/api/v1/namespaces/default/configmaps/before-{component}") == before
    fresh_pod_runs(machine, image, f"after-{component}")
    undisturbed(machine, web)


def answers(machine: Machine) -> bool:
    try:
        return machine.get("/api/v1/namespaces/default") is not None
    except OSError:
        return False


def test_what_happens_while_the_agent_is_down_is_made_good(machine: Machine, web: dict[int, str], image: str) -> None:
    machine.apply(
        pod("doomed", container(image, TICKING)),
        pod("ending", container(image, "until test -e /tmp/end; do sleep 0.05; done; exit 5"), restartPolicy="Never"),
    )
    for name in ("doomed", "ending"):
        machine.wait_pod(name, is_running)
    doomed = set(processes(machine)) - set(web)
    (waiting,) = [pid for pid, words in machine.containers().items() if "/tmp/end" in words]
    agent = machine.pids()["nodeagent"]
    os.kill(agent, signal.SIGSTOP)  # down, and not started again meanwhile
    machine.kubectl("delete", "pod", "doomed", "--wait=false")
    machine.run("touch", f"/proc/{waiting}/root/tmp/end")
    eventually(lambda: waiting not in machine.containers(), "the container ends while nobody looks")
    assert doomed <= set(processes(machine))
    os.kill(agent, signal.SIGKILL)
    machine.restarted("nodeagent", agent)
    machine.gone("doomed")
    end = terminated(machine.wait_pod("ending", lambda p: terminated(p) is not None))
    assert end is not None and (end["exitCode"], end["reason"]) == (5, "Error")
    eventually(lambda: not doomed & set(processes(machine)), "the deleted pod's container is gone")
    undisturbed(machine, web)
    machine.kubectl("delete", "pod", "ending")


def test_a_deployment_scaled_while_the_controllers_are_down_gets_its_pods(
    machine: Machine, web: dict[int, str], image: str
) -> None:
    machine.apply(deployment("grown", 1, container(image)))
    eventually(lambda: sum(map(is_ready, machine.pods("run=grown"))) == 1, "the first replica")
    old = machine.kill("controllers")
    machine.kubectl("scale", "deployment/grown", "--replicas=3")
    machine.restarted("controllers", old)
    eventually(lambda: sum(map(is_ready, machine.pods("run=grown"))) == 3, "three replicas")
    machine.kubectl("delete", "deployment", "grown")
    eventually(lambda: machine.pods("run=grown") == [], "the replicas are gone")
    undisturbed(machine, web)


def test_acknowledged_writes_outlive_the_api_server(machine: Machine, web: dict[int, str]) -> None:
    """Objects are created while the API server is killed three times; every acknowledged one is there afterwards."""
    acknowledged: list[str] = []
    for turn in range(3):
        for number in range(5):
            name = f"write-{turn}-{number}"
            machine.apply(config_map(name, turn=str(turn)))
            acknowledged.append(name)
        old = machine.kill("apiserver")
        machine.restarted("apiserver", old)
        eventually(lambda: answers(machine), "the API server is ready")
    found = machine.get("/api/v1/namespaces/default/configmaps")
    assert found is not None
    names = {item["metadata"]["name"] for item in found["items"]}
    assert set(acknowledged) <= names
    undisturbed(machine, web)


def test_containers_outlive_a_killed_supervisor_and_the_next_up_takes_them_over(
    machine: Machine, web: dict[int, str], image: str
) -> None:
    components = set(machine.pids().values())
    supervisor = machine.layout.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not any(_alive(pid) for pid in components), "the components end with their supervisor")
    assert processes(machine) == web
    assert "ready after" in machine.up().out
    fresh_pod_runs(machine, image, "after-up")
    undisturbed(machine, web)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_containers_outlive_a_killed_machine_of_components(machine: Machine, web: dict[int, str], image: str) -> None:
    """Supervisor and components at one blow, the agent in the middle of starting pods."""
    names = [f"storm-{n}" for n in range(4)]
    machine.apply(*(pod(name, container(image, TICKING)) for name in names))
    eventually(lambda: len(processes(machine)) > len(web), "the first of them runs")
    supervisor = machine.layout.supervisor_pid()
    assert supervisor is not None
    for pid in (supervisor, *machine.pids().values()):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: machine.layout.supervisor_pid() is None, "the lock is free")
    running = processes(machine)
    machine.up()
    for name in names:
        found: Object = machine.wait_pod(name, is_running)
        assert found["status"]["containerStatuses"][0]["restartCount"] == 0
    assert running.items() <= processes(machine).items()
    machine.kubectl("delete", "pod", *names)
    eventually(lambda: processes(machine) == web, "only the replicas run")
    undisturbed(machine, web)
