"""ResourceQuotas: status follows objects of every counted kind, and the quota refuses what is too much."""

from __future__ import annotations

from typing import Any

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import apps, controller, path, wait, workload


def make_quota(api: Api, namespace: str, name: str = "quota", **spec: Any) -> str:
    """Create it and wait until its status says what its spec does; its path."""
    api.create(path(namespace, "resourcequotas"), {"metadata": {"name": name}, "spec": spec})
    one = path(namespace, "resourcequotas", name)
    wait(api, one, lambda quota: (quota.get("status") or {}).get("hard") == spec["hard"], "status.hard")
    return one


def used(api: Api, quota: str, wanted: dict[str, str]) -> None:
    def holds(obj: Object) -> bool:
        found = obj["status"].get("used", {})
        return all(found.get(name) == value for name, value in wanted.items())

    wait(api, quota, holds, f"uses {wanted}")


def pod(name: str, resources: Object | None = None, **spec: Any) -> Object:
    container: Object = {"name": "c", "image": "i"}
    if resources:
        container["resources"] = resources
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def check_counted(api: Api, quota: str, name: str, collection: str, obj: Object, *, base: int = 0) -> None:
    """Creating the object adds one to what is used under `name`, deleting it takes that back."""
    used(api, quota, {name: str(base)})
    api.create(collection, obj)
    used(api, quota, {name: str(base + 1)})
    api.delete(f"{collection}/{obj['metadata']['name']}")
    used(api, quota, {name: str(base)})


@row(76, "ResourceQuota, apply changes to a ResourceQuota status")
def test_the_status_of_a_quota_is_written_and_put_right(api: Api, namespace: str) -> None:
    hard = {"cpu": "500m", "memory": "500Mi"}
    quota = make_quota(api, namespace, hard=hard)

    def change(obj: Object) -> None:
        obj["status"]["hard"] = {"cpu": "1", "memory": "1Gi"}

    assert api.update(f"{quota}/status", change)["status"]["hard"]["cpu"] == "1"
    wait(api, quota, lambda obj: obj["status"]["hard"] == hard, "status.hard follows spec.hard again")
    patched = api.patch(f"{quota}/status", {"status": {"hard": {"memory": "2Gi"}}})
    assert patched["status"]["hard"]["memory"] == "2Gi" and patched["spec"]["hard"] == hard
    wait(api, quota, lambda obj: obj["status"]["hard"] == hard, "status.hard follows spec.hard again")


@row(77, "ResourceQuota, update and delete")
def test_a_quota_is_updated_and_deleted(api: Api, namespace: str) -> None:
    quota = make_quota(api, namespace, hard={"cpu": "1", "memory": "500Mi"})
    more = {"cpu": "2", "memory": "1Gi"}
    api.update(quota, lambda obj: obj["spec"].update(hard=more))
    assert api.get(quota)["spec"]["hard"] == more
    wait(api, quota, lambda obj: obj["status"]["hard"] == more, "the new limits")
    api.delete(quota)
    api.refused(404, "GET", quota)


@row(78, "ResourceQuota, object count quota, configmap")
def test_a_quota_counts_configmaps(api: Api, namespace: str) -> None:
    quota = make_quota(api, namespace, hard={"configmaps": "9"})
    certificate = path(namespace, "configmaps", "kube-root-ca.crt")
    eventually(lambda: api.find(certificate), "the namespace's first ConfigMap")
    check_counted(api, quota, "configmaps", path(namespace, "configmaps"), {"metadata": {"name": "c"}}, base=1)


@row(79, "ResourceQuota, object count quota, pod")
def test_a_quota_counts_pods_and_what_they_ask_for(api: Api, namespace: str) -> None:
    hard = {"pods": "5", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi", "requests.example.com/dongle": "3"}
    quota = make_quota(api, namespace, hard=hard)
    dongle = {"example.com/dongle": "2"}
    asked = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", **dongle}
    none = dict.fromkeys(hard, "0")
    used(api, quota, none)
    pods = path(namespace, "pods")
    api.create(pods, pod("fits", {"requests": asked, "limits": dongle}))
    both = {"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi"}
    used(api, quota, {**both, "requests.example.com/dongle": "2"})
    for more in ({"cpu": "600m"}, {"cpu": "1m", "memory": "1", "ephemeral-storage": "1", **dongle}):
        wanted = {"cpu": "1m", "memory": "1Mi", "ephemeral-storage": "1Gi", **more}
        limits = {"limits": dongle} if "example.com/dongle" in more else {}
        refusal = api.refused(403, "POST", pods, pod("surplus", {"requests": wanted, **limits}))
        assert "exceeded quota: quota" in refusal["message"]
    change = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]}}
    answer = api.call("PATCH", f"{pods}/fits", change, content_type="application/strategic-merge-patch+json")
    assert answer.status == 422
    used(api, quota, {**both, "requests.example.com/dongle": "2"})
    api.delete(f"{pods}/fits", gracePeriodSeconds=0)
    used(api, quota, none)


@row(80, "ResourceQuota, object count quota, replicaSet")
def test_a_quota_counts_replicasets(api: Api, namespace: str) -> None:
    quota = make_quota(api, namespace, hard={"count/replicasets.apps": "5"})
    check_counted(api, quota, "count/replicasets.apps", apps(namespace, "replicasets"), workload("set", 0))


@row(81, "ResourceQuota, object count quota, replicationController")
def test_a_quota_counts_replicationcontrollers(api: Api, namespace: str) -> None:
    quota = make_quota(api, namespace, hard={"replicationcontrollers": "5"})
    check_counted(api, quota, "replicationcontrollers", path(namespace, "replicationcontrollers"), controller("rc", 0))


@row(82, "ResourceQuota, object count quota, secret")
def test_a_quota_counts_secrets(api: Api, namespace: str) -> None:
    quota = make_quota(api, namespace, hard={"secrets": "5"})
    secret = {"metadata": {"name": "s"}, "data": {"key": "dmFsdWU="}}
    check_counted(api, quota, "secrets", path(namespace, "secrets"), secret)


@row(83, "ResourceQuota, object count quota, service")
def test_a_quota_counts_services_by_type(api: Api, namespace: str) -> None:
    hard = {"services": "4", "services.nodeports": "1", "services.loadbalancers": "1"}
    quota = make_quota(api, namespace, hard=hard)
    services = path(namespace, "services")

    def service(name: str, type: str, **spec: Any) -> Object:
        return {"metadata": {"name": name}, "spec": {"type": type, "ports": [{"port": 80}], **spec}}

    api.create(services, service("inside", "ClusterIP"))
    api.create(services, service("outside", "NodePort"))
    assert "exceeded quota" in api.refused(403, "POST", services, service("balanced", "LoadBalancer"))["message"]
    used(api, quota, {"services": "2", "services.nodeports": "1", "services.loadbalancers": "0"})
    api.refused(403, "POST", services, service("surplus", "NodePort"))
    api.create(services, service("balanced", "LoadBalancer", allocateLoadBalancerNodePorts=False))
    used(api, quota, {"services": "3", "services.nodeports": "1", "services.loadbalancers": "1"})
    for name in ("inside", "outside", "balanced"):
        api.delete(f"{services}/{name}")
    used(api, quota, {"services": "0", "services.nodeports": "0", "services.loadbalancers": "0"})


@row(84, "ResourceQuota, object count quota, resourcequotas")
def test_a_quota_counts_itself(api: Api, namespace: str) -> None:
    quota = make_quota(api, namespace, hard={"resourcequotas": "2", "pods": "3"})
    used(api, quota, {"resourcequotas": "1", "pods": "0"})


@row(85, "ResourceQuota, manage lifecycle of a ResourceQuota")
def test_the_lifecycle_of_a_quota(api: Api, namespace: str, unique: str) -> None:
    label = f"conformance-test={unique}"
    metadata = {"name": "quota", "labels": {"conformance-test": unique}}
    api.create(path(namespace, "resourcequotas"), {"metadata": metadata, "spec": {"hard": {"cpu": "1"}}})
    assert [one["metadata"]["namespace"] for one in api.items(path("", "resourcequotas"), label)] == [namespace]
    more = {"spec": {"hard": {"cpu": "2", "memory": "1Gi"}}}
    patched = api.patch(path(namespace, "resourcequotas", "quota"), more)
    assert patched["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    api.delete(path(namespace, "resourcequotas"), labelSelector=label)
    eventually(lambda: not api.items(path("", "resourcequotas"), label), "the quota is gone")


def check_scopes(api: Api, namespace: str, scopes: tuple[str, str], first: Object, second: Object) -> None:
    """`first` is counted by the quota of the first scope only, `second` by the other's."""
    quotas = [make_quota(api, namespace, f"q{number}", hard={"pods": "5"}, scopes=[scope])
              for number, scope in enumerate(scopes)]  # fmt: skip
    for number, obj in enumerate((first, second)):
        api.create(path(namespace, "pods"), obj)
        used(api, quotas[number], {"pods": "1"})
        used(api, quotas[1 - number], {"pods": "0"})
        api.delete(path(namespace, "pods", obj["metadata"]["name"]), gracePeriodSeconds=0)
        used(api, quotas[number], {"pods": "0"})


@row(86, "ResourceQuota, quota scope, BestEffort and NotBestEffort scope")
def test_scopes_divide_pods_by_best_effort(api: Api, namespace: str) -> None:
    asked = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    check_scopes(api, namespace, ("BestEffort", "NotBestEffort"), pod("best"), pod("asks", asked))


@row(87, "ResourceQuota, quota scope, Terminating and NotTerminating scope")
def test_scopes_divide_pods_by_their_deadline(api: Api, namespace: str) -> None:
    ends = pod("ends", activeDeadlineSeconds=3600)
    check_scopes(api, namespace, ("Terminating", "NotTerminating"), ends, pod("stays"))
