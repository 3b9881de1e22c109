"""What a row plays with: a namespace of its own, and its pods: made, waited for, read, executed in, deleted."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.agnhost.build import Images
from tests.conformance.api import Api, Object, eventually
from tests.conformance.node import exec as execution
from tests.conformance.node.podwatch import PodWatch

POD_SECONDS = 90.0  # generous: everything runs at the same time on a small machine


class Case:
    """One test's; `namespace` is made when it is first asked for.

    `close` deletes its pods and leaves the namespace to the end of the cluster: emptying a hundred namespaces would
    cost more than all the rows.
    """

    def __init__(self, api: Api, watch: PodWatch, images: Images, node: str) -> None:
        self.api = api
        self.images = images
        self.node = node
        self.unique = uuid.uuid4().hex[:8]
        self._watch = watch
        self._namespaces: list[str] = []

    @property
    def namespace(self) -> str:
        return self._namespaces[0] if self._namespaces else self.new_namespace()

    def new_namespace(self, name: str = "") -> str:
        name = name or f"node-{self.unique}-{len(self._namespaces)}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        self._namespaces.append(name)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        found = f"{name} has its default ServiceAccount"
        eventually(lambda: self.api.find(account) is not None, found, POD_SECONDS, pause_seconds=0.1)
        return name

    def close(self) -> None:
        for name in self._namespaces:
            self.api.call("DELETE", f"/api/v1/namespaces/{name}/pods")

    # -- objects ---------------------------------------------------------------------------------------------------

    def path(self, plural: str, name: str = "", group: str = "") -> str:
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def config_map(self, name: str, data: dict[str, str], **more: Any) -> Object:
        return self.api.create(self.path("configmaps"), {"metadata": {"name": name}, "data": data, **more})

    def secret(self, name: str, data: dict[str, str]) -> Object:
        return self.api.create(self.path("secrets"), {"metadata": {"name": name}, "stringData": data})

    # -- pods ------------------------------------------------------------------------------------------------------

    def create(self, pod: Object) -> str:
        """Create a pod; its name."""
        made = self.api.create(self.path("pods"), pod)
        name: str = made["metadata"]["name"]
        return name

    def pod(self, name: str) -> Object:
        return self.api.get(self.path("pods", name))

    def delete(self, name: str, **query: Any) -> None:
        self.api.delete(self.path("pods", name), **query)

    def wait(self, name: str, holds: Callable[[Object], Any], what: str, seconds: float = POD_SECONDS) -> Object:
        """The pod once `holds(pod)`; AssertionError with its status, events and logs otherwise."""
        held, pod = self._watch.wait(self.namespace, name, lambda pod: pod is not None and holds(pod), seconds)
        assert held and pod is not None, f"not within {seconds:.0f} s: {name} {what}\n{self.explain(name)}"
        return pod

    def never(self, name: str, holds: Callable[[Object], Any], what: str, seconds: float) -> None:
        """AssertionError if `holds(pod)` becomes true within `seconds`."""
        held, _ = self._watch.wait(self.namespace, name, lambda pod: pod is not None and holds(pod), seconds)
        assert not held, f"{name} {what}\n{self.explain(name)}"

    def gone(self, name: str, seconds: float = POD_SECONDS) -> None:
        held, _ = self._watch.wait(self.namespace, name, lambda pod: pod is None, seconds)
        assert held, f"not within {seconds:.0f} s: {name} is gone\n{self.explain(name)}"

    def running(self, name: str) -> Object:
        """Every container of the pod runs (and is ready)."""
        return self.wait(name, is_running, "runs")

    def ended(self, name: str) -> Object:
        return self.wait(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), "ends")

    def succeeded(self, name: str) -> Object:
        pod = self.ended(name)
        assert pod["status"]["phase"] == "Succeeded", self.explain(name)
        return pod

    def run(self, pod: Object) -> Object:
        """Create the pod and wait until it runs."""
        return self.running(self.create(pod))

    def output(self, pod: Object, container: str = "") -> str:
        """Create the pod, wait for its success; what the container (the only one) has written."""
        name = self.create(pod)
        self.succeeded(name)
        return self.log(name, container)

    def log(self, name: str, container: str = "", **query: Any) -> str:
        chosen: dict[str, Any] = {"container": container} if container else {}
        answer = self.api.call("GET", f"{self.path('pods', name)}/log", **chosen, **query)
        assert answer.status == 200, f"log of {name}: {answer.status} {answer.message}"
        return answer.body.decode()

    def logged(self, name: str, pattern: str, container: str = "", seconds: float = POD_SECONDS) -> str:
        """Wait until the log has `pattern` (a regular expression); the log."""
        last = ""

        def probe() -> str | None:
            nonlocal last
            last = self.log(name, container)
            return last if re.search(pattern, last) else None

        try:
            return eventually(probe, f"{pattern!r} is logged by {name}", seconds, pause_seconds=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log ends: {last[-600:]!r}\n{self.explain(name)}") from None

    def exec(self, name: str, *argv: str, container: str = "") -> str:
        """What a command that must succeed writes."""
        found = self.try_exec(name, *argv, container=container)
        assert found.succeeded, f"{argv} in {name}: {found}"
        return found.out

    def try_exec(self, name: str, *argv: str, container: str = "") -> execution.Output:
        return execution.run(self.api.url, self.api.context, self.path("pods", name), argv, container)

    def shell(self, name: str, script: str, container: str = "") -> str:
        return self.exec(name, "/bin/sh", "-c", script, container=container)

    def explain(self, name: str) -> str:
        """The pod's status and events, as text for the message of a failure."""
        pod = self.api.find(self.path("pods", name))
        if pod is None:
            return "there is no such pod"
        events = [
            f"{event['reason']}: {event.get('message', '')}"
            for event in self.api.items(self.path("events"))
            if event["involvedObject"]["name"] == name
        ]
        logs = [
            f"-- {status['name']}\n"
            + self.api.call("GET", f"{self.path('pods', name)}/log", container=status["name"], tailLines=20).message
            for status in pod["status"].get("containerStatuses", [])
        ]
        return "\n".join([json.dumps(pod["status"], indent=1), *events, *logs])


def is_running(pod: Object) -> bool:
    statuses = pod["status"].get("containerStatuses", [])
    return bool(statuses) and all("running" in status["state"] and status["ready"] for status in statuses)


def condition(pod: Object, kind: str) -> str:
    """The status of a condition: "True", "False", "" if it is not there."""
    found = [c["status"] for c in pod["status"].get("conditions", []) if c["type"] == kind]
    return str(found[0]) if found else ""


def restarts(pod: Object, index: int = 0) -> int:
    statuses = pod["status"].get("containerStatuses", [])
    return int(statuses[index]["restartCount"]) if len(statuses) > index else 0


def terminated(pod: Object, index: int = 0) -> Object:
    """The container's `state.terminated`, {} while it is in another state."""
    found: Object = pod["status"]["containerStatuses"][index]["state"].get("terminated", {})
    return found
