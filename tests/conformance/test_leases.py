"""Leases, RuntimeClasses, CronJobs: resources whose API is what a row asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable

from tests.conformance.api import Api, Object, eventually
from tests.conformance.operations import Resource, Scenario, check_api_operations
from tests.conformance.rows import row


@row(244, "lease API should be available")
def test_the_lease_api_is_available(api: Api, namespace: str, unique: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    spec = {
        "holderIdentity": "holder",
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-01-02T03:04:05.000006Z",
        "renewTime": "2026-01-02T03:04:07.000000Z",
        "leaseTransitions": 0,
    }
    made = {"metadata": {"name": "example", "labels": {"conformance-test": unique}}, "spec": spec}
    assert api.create(path, made)["spec"] == spec
    assert api.get(f"{path}/example")["spec"] == spec

    renewed = {**spec, "holderIdentity": "holder2", "renewTime": "2026-01-02T03:05:05.123456Z", "leaseTransitions": 1}
    api.update(f"{path}/example", lambda obj: obj.update(spec=copy.deepcopy(renewed)))
    assert api.get(f"{path}/example")["spec"] == renewed

    patch = {"spec": {"holderIdentity": "holder3", "leaseDurationSeconds": 60}}
    api.patch(f"{path}/example", patch, "strategic")
    wanted = {**renewed, **patch["spec"]}
    assert api.get(f"{path}/example")["spec"] == wanted

    api.create(path, {**made, "metadata": {"name": "other", "labels": {"conformance-test": f"{unique}-2"}}})
    assert [item["metadata"]["name"] for item in api.items(path)] == ["example", "other"]
    api.delete(path, labelSelector=f"conformance-test={unique}-2")
    eventually(lambda: len(api.items(path)) == 1, "only the first lease is left")
    api.delete(f"{path}/example")
    api.refused(404, "GET", f"{path}/example")


@row(275, "RuntimeClass API")
def test_runtimeclass_supports_runtimeclasses_api_operations(api: Api, unique: str) -> None:
    def runtime_class(name: str) -> Object:
        return {"handler": "example", "overhead": {"podFixed": {"cpu": "10m"}}}

    resource = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False)
    check_api_operations(api, Scenario(resource, runtime_class, unique))


@row(107, "CronJob API Operations")
def test_cronjob_supports_cronjob_api_operations(api: Api, unique: str, make_namespace: Callable[[], str]) -> None:
    def cron_job(name: str) -> Object:
        pod = {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "example:1"}]}
        job = {"spec": {"template": {"spec": pod}}}
        return {"spec": {"schedule": "0 0 29 2 *", "concurrencyPolicy": "Allow", "jobTemplate": job}}

    def change(obj: Object) -> None:
        obj["spec"]["schedule"] = "*/5 0 29 2 *"

    resource = Resource("batch", "v1", "cronjobs", "CronJob", subresources=("status",))
    status = {"lastScheduleTime": "2026-01-02T03:04:05Z"}
    namespaces = (make_namespace(), make_namespace())
    check_api_operations(api, Scenario(resource, cron_job, unique, namespaces, change, status))
