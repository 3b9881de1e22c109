"""What GitOps tools conclude from our status fields while things happen: each change of mind, in order."""

from __future__ import annotations

from tests.scenarios.controllers import workloads as w
from tests.scenarios.controllers.controlplane import WORKLOADS, Base, ControlPlane, play
from tests.scenarios.controllers.kstatus import CURRENT, FAILED, GOING, TERMINATING, kstatus
from tests.scenarios.controllers.world import Obj

MORE = (*WORKLOADS, "namespace-controller", "garbage-collector-controller")


class Minds:
    """The changing kstatus of every object, by kind and name."""

    def __init__(self, plane: ControlPlane) -> None:
        self.of: dict[tuple[str, str], list[str]] = {}
        plane.world.listeners.append(self._see)

    def _see(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            return
        known = self.of.setdefault((plural, new["metadata"]["name"]), [])
        mind = kstatus(new)
        if known[-1:] != [mind]:
            known.append(mind)

    def __call__(self, plural: str, name: str = "web") -> list[str]:
        return self.of[plural, name]


def test_a_deployment_is_current_between_rollouts_and_failed_after_its_deadline(base: Base) -> None:
    async def life(plane: ControlPlane) -> None:
        minds = Minds(plane)
        await plane.create(f"{w.APPS}/deployments", w.workload("Deployment", replicas=2, progressDeadlineSeconds=30))
        await plane.until(lambda: minds("deployments")[-1] == CURRENT, "current", 60)
        assert w.rolled_out(plane.world, "app:1", 2)
        plane.kubelets.broken = lambda pod: w.image_of(pod) == "app:2"
        await plane.merge(f"{w.APPS}/deployments/web", w.image_change("app:2"))
        await plane.until(lambda: minds("deployments")[-1] == FAILED, "failed", 90)
        await plane.merge(f"{w.APPS}/deployments/web", w.image_change("app:3"))
        await plane.until(lambda: minds("deployments")[-1] == CURRENT, "current again", 60)
        assert w.rolled_out(plane.world, "app:3", 2)
        assert minds("deployments") == [GOING, CURRENT, GOING, FAILED, GOING, CURRENT]
        assert {mind[-1] for (plural, _), mind in minds.of.items() if plural == "replicasets"} == {CURRENT}

    play(base, 1, life)


def test_stateful_sets_and_daemon_sets_are_in_progress_until_the_last_pod(base: Base) -> None:
    async def life(plane: ControlPlane) -> None:
        minds = Minds(plane)
        await plane.create(f"{w.APPS}/statefulsets", w.workload("StatefulSet", replicas=2, serviceName="web"))
        await plane.until(lambda: minds("statefulsets")[-1] == CURRENT, "current", 60)
        assert w.stateful(plane.world, "app:1", 2)
        await plane.merge(f"{w.APPS}/statefulsets/web", w.image_change("app:2"))
        await plane.until(lambda: minds("statefulsets")[-1] == GOING, "on its way", 10)
        await plane.until(lambda: minds("statefulsets")[-1] == CURRENT, "current", 60)
        assert w.stateful(plane.world, "app:2", 2)
        assert minds("statefulsets") == [GOING, CURRENT] * 2
        await plane.delete(f"{w.APPS}/statefulsets/web", {"propagationPolicy": "Foreground"})
        await plane.until(lambda: not plane.world.all("pods"), "all gone", 60)
        assert minds("statefulsets")[-1] == TERMINATING and minds("pods", "web-0")[-1] == TERMINATING
        await plane.create(f"{w.APPS}/daemonsets", w.workload("DaemonSet"))
        await plane.until(lambda: minds("daemonsets")[-1] == CURRENT, "current", 60)
        assert w.on_every_node(plane.world, "app:1", 3)
        await plane.merge(f"{w.APPS}/daemonsets/web", w.image_change("app:2"))
        await plane.until(lambda: minds("daemonsets")[-1] == GOING, "on its way", 10)
        await plane.until(lambda: minds("daemonsets")[-1] == CURRENT, "current", 60)
        assert w.on_every_node(plane.world, "app:2", 3)
        assert minds("daemonsets") == [GOING, CURRENT] * 2

    play(base, 2, life, controllers=MORE)


def test_jobs_and_their_pods_say_how_they_end(base: Base) -> None:
    async def life(plane: ControlPlane) -> None:
        minds = Minds(plane)
        await plane.create(f"{w.BATCH}/jobs", w.job(completions=2))
        await plane.until(lambda: w.over(plane.world) == "Complete", "complete", 120)
        assert minds("jobs", "work") == [GOING, CURRENT]
        assert all(m == [GOING, CURRENT] for (plural, _), m in minds.of.items() if plural == "pods")
        plane.kubelets.fate = lambda _: False
        await plane.create(f"{w.BATCH}/jobs", {**w.job(backoffLimit=0), "metadata": {"name": "bad"}})
        await plane.until(lambda: w.over(plane.world, "bad") == "Failed", "failed", 120)
        assert minds("jobs", "bad") == [GOING, CURRENT, FAILED]
        assert [m[-1] for (plural, name), m in minds.of.items() if plural == "pods" and "bad" in name] == [FAILED]

    play(base, 3, life)


def test_budgets_claims_services_definitions_and_namespaces(base: Base) -> None:
    async def life(plane: ControlPlane) -> None:
        minds = Minds(plane)
        await plane.create(f"{w.POLICY}/poddisruptionbudgets", w.budget(2))
        await plane.create(f"{w.APPS}/replicasets", w.workload("ReplicaSet", replicas=2))
        await plane.until(lambda: minds("replicasets")[-1] == CURRENT, "the pods", 60)
        await plane.until(lambda: minds("poddisruptionbudgets")[-1] == CURRENT, "the budget", 60)
        assert minds("replicasets") == [GOING, CURRENT]
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
        }
        await plane.create(f"{w.CORE}/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": claim})
        volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
        await plane.sleep(5)
        assert minds("persistentvolumeclaims", "data") == [GOING]
        await plane.create("/api/v1/persistentvolumes", {"metadata": {"name": "v"}, "spec": volume})
        await plane.until(lambda: minds("persistentvolumeclaims", "data") == [GOING, CURRENT], "bound", 60)
        service = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        await plane.create(f"{w.CORE}/services", {"metadata": {"name": "web"}, "spec": service})
        assert minds("services") == [CURRENT]
        version = {"name": "v1", "served": True, "storage": True,
                   "schema": {"openAPIV3Schema": {"type": "object"}}}  # fmt: skip
        spec = {"group": "x.io", "scope": "Cluster", "versions": [version],
                "names": {"kind": "Ship", "plural": "ships", "singular": "ship", "listKind": "ShipList"}}  # fmt: skip
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await plane.create(path, {"metadata": {"name": "ships.x.io"}, "spec": spec})
        definitions = ("customresourcedefinitions", "ships.x.io")
        await plane.until(lambda: minds(*definitions)[-1] == CURRENT, "established", 60)
        await plane.create("/api/v1/namespaces", {"metadata": {"name": "team"}})
        assert minds("namespaces", "team") == [CURRENT]
        await plane.delete("/api/v1/namespaces/team")
        await plane.until(lambda: "/team" not in plane.world.all("namespaces"), "the namespace is gone", 60)
        assert minds("namespaces", "team") == [CURRENT, TERMINATING]

    play(base, 4, life, controllers=(*MORE, "persistentvolume-binder-controller", "persistentvolume-phase-controller"))
