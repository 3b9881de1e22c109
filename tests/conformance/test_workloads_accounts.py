"""Service accounts and certificates of pods, limit ranges, and the Service of the API server itself."""

from __future__ import annotations

import pytest

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import SECONDS, path, wait

TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


@row(171, "Service account tokens auto mount optionally")
def test_a_token_is_mounted_unless_pod_or_account_says_no(api: Api, namespace: str) -> None:
    accounts = {"default": None, "mount": True, "nomount": False}
    for name, mount in accounts.items():
        if mount is not None:
            account = {"metadata": {"name": name}, "automountServiceAccountToken": mount}
            api.create(path(namespace, "serviceaccounts"), account)
    for account_name, of_account in accounts.items():
        for of_pod in (None, True, False):
            spec: Object = {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": account_name}
            if of_pod is not None:
                spec["automountServiceAccountToken"] = of_pod
            name = f"{account_name}-{of_pod}".lower()
            made = api.create(path(namespace, "pods"), {"metadata": {"name": name}, "spec": spec})
            mounts = [one["mountPath"] for one in made["spec"]["containers"][0].get("volumeMounts", [])]
            wanted = of_pod if of_pod is not None else of_account is not False
            assert (TOKENS in mounts) is wanted, name


@row(172, "ServiceAccount, create and review token")
def test_a_token_is_made_and_reviewed(api: Api, namespace: str) -> None:
    api.create(path(namespace, "serviceaccounts"), {"metadata": {"name": "robot"}})
    made = api.create(f"{path(namespace, 'serviceaccounts', 'robot')}/token", {"spec": {}})
    review = api.create("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": made["status"]["token"]}})
    assert review["status"]["authenticated"] is True and "error" not in review["status"]
    assert review["status"]["user"]["username"] == f"system:serviceaccount:{namespace}:robot"


@row(173, "RootCA ConfigMap test")
def test_the_certificate_of_the_cluster_is_put_back(api: Api, namespace: str) -> None:
    one = path(namespace, "configmaps", "kube-root-ca.crt")
    data = wait(api, one, lambda obj: obj["data"]["ca.crt"], "is there")["data"]
    api.delete(one)
    wait(api, one, lambda obj: obj["data"] == data, "is there again")
    api.patch(one, {"data": {"ca.crt": "", "more": "x"}})
    wait(api, one, lambda obj: obj["data"] == data, "is put right")


@row(354, "kubernetes.default Endpoints and EndpointSlices")
def test_the_api_servers_endpoints_and_slices_agree(api: Api) -> None:
    endpoints = api.find(path("default", "endpoints", "kubernetes"))
    if endpoints is None:
        pytest.fail("the API server listens on loopback only: no address that pods could reach")
    slices = api.items(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "kubernetes.io/service-name=kubernetes"
    )
    addresses = {a["ip"] for subset in endpoints["subsets"] for a in subset["addresses"]}
    ports = {port["port"] for subset in endpoints["subsets"] for port in subset["ports"]}
    assert {a for one in slices for each in one["endpoints"] for a in each["addresses"]} == addresses
    assert {port["port"] for one in slices for port in one["ports"]} == ports


@row(355, "Kubernetes Service")
def test_the_api_server_is_a_service(api: Api) -> None:
    service = api.get(path("default", "services", "kubernetes"))
    assert service["spec"]["ports"][0]["port"] == 443


@row(365, 'EndpointSlice, "empty" Service')
def test_a_service_without_pods_has_an_empty_slice(api: Api, namespace: str) -> None:
    spec = {"selector": {"app": "nothing"}, "ports": [{"port": 80}]}
    service = api.create(path(namespace, "services"), {"metadata": {"name": "empty"}, "spec": spec})
    collection = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    label = "kubernetes.io/service-name=empty"
    (found,) = eventually(lambda: api.items(collection, label) or None, "a slice", SECONDS)
    assert not found.get("endpoints") and found["metadata"]["ownerReferences"][0]["uid"] == service["metadata"]["uid"]
    api.delete(path(namespace, "services", "empty"))
    eventually(lambda: not api.items(collection, label), "the slice is gone", SECONDS)


@row(372, 'Endpoints, "empty" Service')
def test_a_service_without_pods_has_empty_endpoints(api: Api, namespace: str) -> None:
    spec = {"selector": {"app": "nothing"}, "ports": [{"port": 80}]}
    api.create(path(namespace, "services"), {"metadata": {"name": "empty"}, "spec": spec})
    one = path(namespace, "endpoints", "empty")
    assert not wait(api, one, lambda obj: True, "is there").get("subsets")
    api.delete(path(namespace, "services", "empty"))
    api.gone(one, SECONDS)


@row(395, "Find Kubernetes Service in default Namespace")
def test_the_api_servers_service_is_listed_with_all_others(api: Api) -> None:
    found = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in api.items(path("", "services"))}
    assert ("default", "kubernetes") in found


@row(401, "LimitRange, resources")
def test_a_limit_range_gives_defaults_and_refuses_extremes(api: Api, namespace: str) -> None:
    def resources(cpu: str, memory: str, storage: str) -> dict[str, str]:
        return {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}

    limit: Object = {
        "type": "Container",
        "min": resources("50m", "100Mi", "100Gi"),
        "max": resources("500m", "500Mi", "500Gi"),
        "default": resources("500m", "500Mi", "500Gi"),
        "defaultRequest": resources("100m", "200Mi", "200Gi"),
        "maxLimitRequestRatio": {},
    }
    collection = path(namespace, "limitranges")

    def pod(name: str, requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> Object:
        asked = {"requests": requests or {}, "limits": limits or {}}
        return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", "resources": asked}]}}

    with api.watch(collection) as watch:
        api.create(collection, {"metadata": {"name": "range"}, "spec": {"limits": [limit]}})
        watch.must_be("ADDED", "range")
        made = api.create(path(namespace, "pods"), pod("defaults"))["spec"]["containers"][0]["resources"]
        assert (made["requests"], made["limits"]) == (limit["defaultRequest"], limit["default"])
        half = api.create(path(namespace, "pods"), pod("half", {"memory": "150Mi"}, {"cpu": "300m"}))
        found = half["spec"]["containers"][0]["resources"]
        assert found["requests"] == {"cpu": "300m", "memory": "150Mi", "ephemeral-storage": "200Gi"}
        assert found["limits"] == {"cpu": "300m", "memory": "500Mi", "ephemeral-storage": "500Gi"}
        api.refused(403, "POST", path(namespace, "pods"), pod("little", resources("10m", "50Mi", "50Gi")))
        much = resources("600m", "600Mi", "600Gi")
        api.refused(403, "POST", path(namespace, "pods"), pod("much", much, much))

        def change(obj: Object) -> None:
            obj["spec"]["limits"][0]["min"] = resources("9m", "49Mi", "49Gi")

        api.update(f"{collection}/range", change)
        watch.must_be("MODIFIED", "range")

        def allowed() -> bool:
            little = pod("little", resources("10m", "50Mi", "50Gi"))
            return api.call("POST", path(namespace, "pods"), little).status == 201

        eventually(allowed, "the new minimum is in force", SECONDS)
        api.refused(403, "POST", path(namespace, "pods"), pod("much", much, much))
        api.delete(f"{collection}/range")
        watch.must_be("DELETED", "range")
    assert not api.items(collection)
    api.create(path(namespace, "pods"), pod("much", much, much))
