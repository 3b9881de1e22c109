"""Services, Endpoints, EndpointSlices, Ingresses, ServiceCIDRs and IPAddresses: their API, not their traffic."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.api import Api, Object, eventually
from tests.conformance.operations import Resource, Scenario, check_api_operations, check_discovery
from tests.conformance.rows import row

_NETWORKING = ("networking.k8s.io", "v1")


@row(368, "EndpointSlice API")
def test_endpointslice_supports_its_api_operations(api: Api, unique: str, make_namespace: Callable[[], str]) -> None:
    def slice_of(name: str) -> Object:
        endpoint = {"addresses": ["10.1.2.3"], "conditions": {"ready": True}}
        return {
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            "endpoints": [endpoint],
        }

    def change(obj: Object) -> None:
        obj["endpoints"] = [{"addresses": ["10.1.2.4"], "conditions": {"ready": False}}]

    resource = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
    namespaces = (make_namespace(), make_namespace())
    check_api_operations(api, Scenario(resource, slice_of, unique, namespaces, change))


@row(370, "Endpoint resource lifecycle")
def test_the_lifecycle_of_an_endpoint(api: Api, namespace: str, unique: str) -> None:
    endpoints, everywhere = f"/api/v1/namespaces/{namespace}/endpoints", "/api/v1/endpoints"
    path, label = f"{endpoints}/example", f"conformance-test={unique}"
    made = {
        "metadata": {"name": "example", "labels": {"conformance-test": unique}},
        "subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}],
    }
    with api.watch(endpoints, labelSelector=label) as watch:
        api.create(endpoints, made)
        watch.must_be("ADDED", "example")
        assert [found["metadata"]["namespace"] for found in api.items(everywhere, label)] == [namespace]

        api.update(path, lambda obj: obj["metadata"]["labels"].update(updated="true"))
        assert watch.must_be("MODIFIED", "example")["metadata"]["labels"]["updated"] == "true"
        assert api.get(path)["metadata"]["labels"]["updated"] == "true"

        subset = {"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080}]}
        api.patch(path, {"metadata": {"labels": {"patched": "true"}}, "subsets": [subset]}, "strategic")
        assert watch.must_be("MODIFIED", "example")["metadata"]["labels"]["patched"] == "true"
        found = api.get(path)["subsets"][0]
        assert found["addresses"][0]["ip"] == "10.0.0.25"
        assert (found["ports"][0]["name"], found["ports"][0]["port"]) == ("http-test", 8080)

        api.delete(endpoints, labelSelector=label)
        watch.must_be("DELETED", "example")
    api.refused(404, "GET", path)


@row(374, "Ingress API")
def test_ingress_supports_creating_ingress_api_operations(
    api: Api, unique: str, make_namespace: Callable[[], str]
) -> None:
    def ingress(name: str) -> Object:
        return {"spec": {"defaultBackend": {"service": {"name": "default-backend", "port": {"number": 80}}}}}

    def change(obj: Object) -> None:
        backend = {"service": {"name": "test-backend", "port": {"number": 8080}}}
        http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
        obj["spec"]["rules"] = [{"host": "example.test", "http": http}]

    resource = Resource(*_NETWORKING, "ingresses", "Ingress", subresources=("status",))
    status = {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}
    namespaces = (make_namespace(), make_namespace())
    check_api_operations(api, Scenario(resource, ingress, unique, namespaces, change, status))


@row(375, "IngressClass API")
def test_ingressclass_supports_creating_ingressclass_api_operations(api: Api, unique: str) -> None:
    def ingress_class(name: str) -> Object:
        return {"spec": {"controller": "example.com/controller"}}

    def change(obj: Object) -> None:
        obj["spec"]["parameters"] = {"kind": "Parameters", "apiGroup": "example.com", "name": "p", "scope": "Cluster"}

    resource = Resource(*_NETWORKING, "ingressclasses", "IngressClass", namespaced=False)
    check_api_operations(api, Scenario(resource, ingress_class, unique, change=change))


@row(384, "IPAddress API")
def test_servicecidr_and_ipaddress_support_ipaddress_api_operations(api: Api, unique: str) -> None:
    resource = Resource(*_NETWORKING, "ipaddresses", "IPAddress", namespaced=False)
    check_discovery(api, resource)
    path, selector = resource.path(), f"conformance-test={unique}"
    parent = {"group": "", "resource": "services", "name": "none", "namespace": "default"}
    addresses = [f"2001:db8:{int(unique[:4], 16) | 1:x}::{host}" for host in "abc"]

    with api.watch(path, labelSelector=selector) as watch:
        for address in addresses:
            labels = {"conformance-test": unique}
            api.create(path, {"metadata": {"name": address, "labels": labels}, "spec": {"parentRef": parent}})
            watch.must_be("ADDED", address)
        assert api.get(f"{path}/{addresses[0]}")["spec"]["parentRef"]["resource"] == "services"
        assert sorted(item["metadata"]["name"] for item in api.items(path, selector)) == sorted(addresses)
        api.patch(f"{path}/{addresses[0]}", {"metadata": {"annotations": {"patched": "true"}}})
        watch.must_be("MODIFIED", addresses[0])
        api.update(f"{path}/{addresses[0]}", lambda obj: obj["metadata"]["annotations"].update(updated="true"))
        assert watch.must_be("MODIFIED", addresses[0])["metadata"]["annotations"]["updated"] == "true"
        api.delete(f"{path}/{addresses[0]}")
        watch.must_be("DELETED", addresses[0])
        api.delete(path, labelSelector=selector)
    eventually(lambda: api.items(path, selector) == [], "the addresses are gone")
    api.refused(422, "POST", path, {"metadata": {"name": "not-an-address"}, "spec": {"parentRef": parent}})


@row(385, "ServiceCIDR API")
def test_servicecidr_and_ipaddress_support_servicecidr_api_operations(api: Api, unique: str) -> None:
    def cidr(name: str) -> Object:
        return {"spec": {"cidrs": [f"10.{200 + ord(name[-1]) % 10}.0.0/24"]}}

    resource = Resource(*_NETWORKING, "servicecidrs", "ServiceCIDR", namespaced=False, subresources=("status",))
    condition = {
        "type": "Conformance",
        "status": "True",
        "reason": "Patched",
        "message": "by the test",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    check_api_operations(api, Scenario(resource, cidr, unique, status={"conditions": [condition]}))


@row(393, "Service, complete ServiceStatus lifecycle")
def test_services_complete_a_service_status_lifecycle(api: Api, namespace: str, unique: str) -> None:
    services = f"/api/v1/namespaces/{namespace}/services"
    path, selector = f"{services}/example", f"conformance-test={unique}"
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}]
    made = {
        "metadata": {"name": "example", "labels": {"conformance-test": unique}},
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": True, "ports": ports},
    }
    with api.watch(services, labelSelector=selector) as watch:
        api.create(services, made)
        watch.wait("ADDED", "example")
        assert [item["metadata"]["name"] for item in api.items("/api/v1/services", selector)] == ["example"]
        assert "loadBalancer" in api.get(f"{path}/status")["status"]  # may have the nodes' addresses by now

        patch = {
            "metadata": {"annotations": {"patchedstatus": "true"}},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
        }
        patched = api.patch(f"{path}/status", patch)
        assert patched["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
        watch.wait("MODIFIED", "example", lambda obj: obj["metadata"].get("annotations", {}).get("patchedstatus"))

        condition = {
            "type": "StatusUpdate",
            "status": "True",
            "reason": "Tested",
            "message": "set by the test",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
        updated = api.update(f"{path}/status", lambda obj: obj["status"].update(conditions=[condition]))
        assert updated["status"]["conditions"] == [condition]
        watch.wait("MODIFIED", "example", lambda obj: obj["status"].get("conditions"))

        api.patch(path, {"metadata": {"labels": {"patched": "true"}}}, "strategic")
        watch.wait("MODIFIED", "example", lambda obj: obj["metadata"]["labels"].get("patched"))
        api.delete(path)
        watch.wait("DELETED", "example")
    api.gone(path)


@row(394, "Service, deletes a collection of services")
def test_services_delete_a_collection_of_services(api: Api, namespace: str, unique: str) -> None:
    services = f"/api/v1/namespaces/{namespace}/services"
    for number, word in enumerate(("doomed", "doomed", "kept")):
        metadata = {"name": f"example-{number}", "labels": {"conformance-test": unique, "fate": word}}
        api.create(services, {"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
    assert len(api.items(services, f"conformance-test={unique}")) == 3
    api.delete(services, labelSelector="fate=doomed")
    eventually(lambda: not api.items(services, "fate=doomed"), "the two services are gone")
    assert [item["metadata"]["name"] for item in api.items(services, f"conformance-test={unique}")] == ["example-2"]
