"""A release's whole life with the real Helm 4 and the chart that `helm create` writes, one step after another."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.running import Outcome, RunningCluster, run
from tests.clients.install_helm import HELM
from tests.clients.suites.suite import Result

NAMESPACE = "helm-flow"
HERE = ("-n", NAMESPACE)
WAIT = ("--wait", "--timeout", "50s")
LABEL = "app.kubernetes.io/instance=one"
Step = tuple[str, Callable[["Flow"], bool]]


class Flow:
    """Helm and kubectl in one working directory."""

    def __init__(self, cluster: RunningCluster) -> None:
        assert HELM.exists(), "helm is missing; install: python -m tests.clients.install_helm"
        self.cluster = cluster
        self.last = Outcome(0, "", "")

    def helm(self, *words: str) -> bool:
        self.last = run([str(HELM), *words], {**self.cluster.environment, "PWD": str(self.cluster.home)})
        return self.last.code == 0

    def prints(self, text: str, *words: str) -> bool:
        return self.helm(*words) and text in self.last.out

    def refused(self, text: str, *words: str) -> bool:
        return not self.helm(*words) and text in self.last.err

    def kubectl(self, *words: str) -> str:
        self.last = self.cluster.kubectl(*words)
        return self.last.out if self.last.code == 0 else self.last.err

    def revisions(self) -> list[int]:
        self.helm("history", "one", *HERE, "-o", "json")
        return [entry["revision"] for entry in json.loads(self.last.out or "[]")]

    def nothing_left(self) -> bool:
        return self.kubectl("get", "deploy,svc,sa,hpa,ingress,secret", *HERE, "-l", LABEL, "-o", "name") == ""

    def revision(self) -> str:
        self.helm("list", *HERE, "-o", "json")
        return "".join(str(entry["revision"]) for entry in json.loads(self.last.out or "[]"))


def steps(chart: str) -> list[Step]:
    """(name, what must hold); each step counts on those before it."""
    upgrade = ("upgrade", "one", chart, *HERE)
    replicas = ("get", "deployment", "one-demo", *HERE, "-o", "jsonpath={.spec.replicas}")
    return [
        ("create a chart", lambda f: f.helm("create", chart)),
        ("lint", lambda f: f.helm("lint", chart)),
        ("template", lambda f: f.prints("kind: Deployment", "template", chart)),
        (
            "dry-run on the server",
            lambda f: f.helm("install", "one", chart, *HERE, "--create-namespace", "--dry-run=server"),
        ),
        ("install", lambda f: f.helm("install", "one", chart, *HERE, "--create-namespace", *WAIT)),
        ("list", lambda f: f.prints("deployed", "list", *HERE)),
        ("status", lambda f: f.prints("STATUS: deployed", "status", "one", *HERE)),
        ("manifest", lambda f: f.prints("kind: Service", "get", "manifest", "one", *HERE)),
        ("upgrade replicas", lambda f: f.helm(*upgrade, "--set", "replicaCount=2", *WAIT)),
        ("upgrade the image", lambda f: f.helm(*upgrade, "--set", "image.tag=2", *WAIT)),
        (
            "upgrade with ingress and autoscaler",
            lambda f: f.helm(*upgrade, "--set", "ingress.enabled=true,autoscaling.enabled=true"),
        ),
        ("history", lambda f: f.revisions() == [1, 2, 3, 4]),
        ("rollback", lambda f: f.helm("rollback", "one", "1", *HERE, *WAIT)),
        ("the rollback is a revision", lambda f: f.revision() == "5"),
        ("the rollback restored the replicas", lambda f: f.kubectl(*replicas) == "1"),
        (
            "a bad upgrade is refused",
            lambda f: f.refused("spec.ports[0].port", *upgrade, "--set", "service.port=99999999"),
        ),
        ("recover", lambda f: f.helm(*upgrade, "--rollback-on-failure", "--timeout", "50s")),
        ("test the release", lambda f: f.helm("test", "one", *HERE, "--timeout", "5s")),
        ("uninstall, keeping history", lambda f: f.helm("uninstall", "one", *HERE, "--keep-history", "--wait")),
        ("roll back what was uninstalled", lambda f: f.helm("rollback", "one", "1", *HERE)),
        ("uninstall", lambda f: f.helm("uninstall", "one", *HERE, "--wait")),
        ("nothing is left", Flow.nothing_left),
        ("upgrade --install", lambda f: f.helm("upgrade", "-i", "two", chart, *HERE, *WAIT)),
        (
            "upgrade by server-side apply",
            lambda f: f.helm("upgrade", "two", chart, *HERE, "--server-side=true", "--set", "replicaCount=3", *WAIT),
        ),
        ("uninstall the second", lambda f: f.helm("uninstall", "two", *HERE)),
        ("delete the namespace", lambda f: "deleted" in f.kubectl("delete", "namespace", NAMESPACE, "--timeout=50s")),
    ]


def play(cluster: RunningCluster, log: Path) -> dict[str, Result]:
    """Results of all steps; what the programs printed is appended to `log`."""
    flow = Flow(cluster)
    results: dict[str, Result] = {}
    with log.open("a") as output:
        for name, holds in steps(str(cluster.home / "demo")):
            try:
                good = holds(flow)
            except subprocess.TimeoutExpired as late:
                flow.last = Outcome(-1, "", str(late))
                good = False
            results[name] = "passed" if good else "failed"
            output.write(f"--- {name}: {results[name]}{os.linesep}{flow.last.out}{flow.last.err}")
    return results
