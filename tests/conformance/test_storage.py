"""Volumes, claims and storage classes: the API of storage, without a driver."""

from __future__ import annotations

import copy
from collections.abc import Callable

from tests.conformance.api import Api, Object, eventually
from tests.conformance.operations import LABEL, Resource, Scenario, check_api_operations
from tests.conformance.rows import row

_STORAGE = "/apis/storage.k8s.io/v1"
GONE_SECONDS = 30


def labelled(name: str, label: str, **rest: object) -> Object:
    return {"metadata": {"name": name, "labels": {LABEL: label}}, **rest}


def names(api: Api, path: str, selector: str) -> list[str]:
    return sorted(item["metadata"]["name"] for item in api.items(path, selector))


def check_recreation(api: Api, path: str, obj: Object, selector: str) -> None:
    """Create, get, patch, delete, create again, PUT, deletecollection; each is confirmed by a read."""
    name = obj["metadata"]["name"]
    one = f"{path}/{name}"
    first = api.create(path, obj)
    assert api.get(one)["metadata"]["uid"] == first["metadata"]["uid"]
    api.patch(one, {"metadata": {"labels": {"patched": "true"}}}, "strategic")
    assert names(api, path, f"{selector},patched=true") == [name]
    api.delete(one)
    api.gone(one, GONE_SECONDS)

    again = api.create(path, obj)
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    assert "patched" not in again["metadata"]["labels"]
    updated = api.update(one, lambda found: found["metadata"]["labels"].update(updated="true"))
    assert updated["metadata"]["labels"]["updated"] == "true"
    assert names(api, path, f"{selector},updated=true") == [name]
    api.delete(path, labelSelector=f"{selector},updated=true")
    eventually(lambda: names(api, path, selector) == [], f"{path} with {selector} is empty", GONE_SECONDS)


@row(412, "CSIDriver, lifecycle")
def test_csiinlinevolumes_run_through_the_lifecycle_of_a_csidriver(api: Api, unique: str) -> None:
    path, selector = f"{_STORAGE}/csidrivers", f"{LABEL}={unique}"
    spec = {"volumeLifecycleModes": ["Ephemeral"], "attachRequired": False, "podInfoOnMount": True}
    first, second = f"first-{unique}.example.com", f"second-{unique}.example.com"
    for name in (first, second):
        made = api.create(path, labelled(name, unique, spec=spec))
        assert made["spec"]["volumeLifecycleModes"] == ["Ephemeral"]
        assert api.get(f"{path}/{name}")["spec"] == made["spec"]
    api.patch(f"{path}/{second}", {"metadata": {"labels": {"patched": "true"}}}, "strategic")
    assert names(api, path, f"{selector},patched=true") == [second]
    api.update(f"{path}/{second}", lambda obj: obj["metadata"]["labels"].update(updated="true"))
    assert names(api, path, f"{selector},updated=true") == [second]
    assert names(api, path, selector) == [first, second]
    api.delete(f"{path}/{first}")
    api.gone(f"{path}/{first}")
    api.delete(path, labelSelector=selector)
    assert names(api, path, selector) == []


@row(413, "CSIInlineVolumes should support Pods with inline volumes")
def test_csiinlinevolumes_support_csivolumesource_in_the_pod_api(api: Api, namespace: str, unique: str) -> None:
    driver = f"inline-{unique}.example.com"
    modes = {"volumeLifecycleModes": ["Ephemeral"]}
    api.create(f"{_STORAGE}/csidrivers", labelled(driver, unique, spec=modes))
    path, selector = f"/api/v1/namespaces/{namespace}/pods", f"{LABEL}={unique}"
    source = {"driver": driver, "readOnly": True, "volumeAttributes": {"key": "value"}}
    pod = {
        "nodeSelector": {"conformance": "no-such-node"},  # it never starts
        "containers": [{"name": "c", "image": "example:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "csi": source}],
    }
    api.create(path, labelled("example", unique, spec=pod))
    assert api.get(f"{path}/example")["spec"]["volumes"][0]["csi"] == source
    assert names(api, "/api/v1/pods", selector) == ["example"]
    api.patch(f"{path}/example", {"metadata": {"labels": {"patched": "true"}}}, "strategic")
    assert names(api, path, f"{selector},patched=true") == ["example"]
    api.delete(f"{path}/example", gracePeriodSeconds=0)
    api.gone(f"{path}/example")
    api.delete(f"{_STORAGE}/csidrivers/{driver}")


@row(414, "CSINode, lifecycle")
def test_csinodes_run_through_the_lifecycle_of_a_csinode(api: Api, unique: str) -> None:
    drivers = [{"name": "example.com", "nodeID": "node-1", "topologyKeys": ["zone"]}]
    csi_node = labelled(f"csinode-{unique}", unique, spec={"drivers": drivers})
    check_recreation(api, f"{_STORAGE}/csinodes", csi_node, f"{LABEL}={unique}")


@row(415, "CSIStorageCapacity API")
def test_csistoragecapacity_supports_its_api_operations(
    api: Api, unique: str, make_namespace: Callable[[], str]
) -> None:
    def capacity(name: str) -> Object:
        return {"storageClassName": "example", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"zone": "a"}}}

    def change(obj: Object) -> None:
        obj["capacity"] = "2Gi"

    resource = Resource("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity")
    check_api_operations(api, Scenario(resource, capacity, unique, (make_namespace(), make_namespace()), change))


def volume(name: str, label: str) -> Object:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": f"class-{label}",
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "example.com", "volumeHandle": f"handle-{name}"},
    }
    return labelled(name, label, spec=spec)


def claim(name: str, label: str) -> Object:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": f"other-class-{label}",  # no volume is of it: the claim waits
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return labelled(name, label, spec=spec)


@row(433, "PersistentVolumes(Claims), apply changes to a pv/pvc status")
def test_persistentvolumes_apply_changes_to_a_pv_and_pvc_status(api: Api, namespace: str, unique: str) -> None:
    volumes, claims = "/api/v1/persistentvolumes", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    api.create(volumes, volume(f"pv-{unique}", unique))
    api.create(claims, claim("example", unique))

    path = f"{claims}/example/status"
    eventually(lambda: api.get(path)["status"].get("phase") in ("Pending", "Bound"), "the claim has a phase")
    condition = {"type": "StatusPatched", "status": "True", "reason": "Tested", "message": "patched by the test"}
    patched = api.patch(path, {"status": {"conditions": [condition]}})
    assert patched["status"]["conditions"][0]["reason"] == "Tested"
    more = {"type": "StatusUpdated", "status": "True", "reason": "Tested", "message": "updated by the test"}
    api.update(path, lambda obj: obj["status"]["conditions"].append(copy.deepcopy(more)))
    assert {found["type"] for found in api.get(path)["status"]["conditions"]} >= {"StatusPatched", "StatusUpdated"}

    path = f"{volumes}/pv-{unique}/status"
    eventually(lambda: api.get(path)["status"].get("phase") in ("Pending", "Available"), "the volume has a phase")
    patched = api.patch(path, {"status": {"reason": "StatusPatched", "message": "patched by the test"}})
    assert (patched["status"]["reason"], patched["status"]["message"]) == ("StatusPatched", "patched by the test")
    api.update(path, lambda obj: obj["status"].update(reason="StatusUpdated", message="updated by the test"))
    assert api.get(path)["status"]["reason"] == "StatusUpdated"

    api.delete(f"{claims}/example")
    api.delete(f"{volumes}/pv-{unique}")
    api.gone(f"{claims}/example", GONE_SECONDS)
    api.gone(f"{volumes}/pv-{unique}", GONE_SECONDS)


@row(434, "PersistentVolumes(Claims), lifecycle")
def test_persistentvolumes_run_through_the_lifecycle_of_a_pv_and_a_pvc(api: Api, namespace: str, unique: str) -> None:
    selector = f"{LABEL}={unique}"
    volumes, claims = "/api/v1/persistentvolumes", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    api.create(volumes, volume(f"pv-{unique}", unique))
    api.create(claims, claim("example", unique))
    assert names(api, volumes, selector) == [f"pv-{unique}"]
    assert names(api, claims, selector) == ["example"]
    assert names(api, "/api/v1/persistentvolumeclaims", selector) == ["example"]
    api.delete(f"{claims}/example")
    api.delete(f"{volumes}/pv-{unique}")
    api.gone(f"{claims}/example", GONE_SECONDS)
    api.gone(f"{volumes}/pv-{unique}", GONE_SECONDS)
    check_recreation(api, claims, claim("example", unique), selector)
    check_recreation(api, volumes, volume(f"pv-{unique}", unique), selector)


@row(435, "StorageClass, lifecycle")
def test_storageclasses_run_through_the_lifecycle_of_a_storageclass(api: Api, unique: str) -> None:
    storage_class = labelled(f"class-{unique}", unique, provisioner="example.com/none", reclaimPolicy="Delete")
    check_recreation(api, f"{_STORAGE}/storageclasses", storage_class, f"{LABEL}={unique}")


def attachment(name: str, label: str) -> Object:
    spec = {"attacher": "example.com", "nodeName": "no-such-node", "source": {"persistentVolumeName": f"pv-{label}"}}
    return labelled(name, label, spec=spec)


@row(441, "VolumeAttachment, apply changes to a volumeattachment status")
def test_volumeattachment_applies_changes_to_a_volumeattachment_status(api: Api, unique: str) -> None:
    path = f"{_STORAGE}/volumeattachments"
    api.create(path, attachment(f"va-{unique}", unique))
    status = f"{path}/va-{unique}/status"
    assert api.get(status)["status"] == {"attached": False}
    assert api.patch(status, {"status": {"attached": True}}, "strategic")["status"]["attached"] is True
    assert api.get(status)["status"]["attached"] is True
    updated = api.update(status, lambda obj: obj["status"].update(attached=False))
    assert updated["status"] == {"attached": False}
    api.delete(f"{path}/va-{unique}")
    api.gone(f"{path}/va-{unique}")


@row(442, "VolumeAttachment, lifecycle")
def test_volumeattachment_runs_through_its_lifecycle(api: Api, unique: str) -> None:
    path, selector = f"{_STORAGE}/volumeattachments", f"{LABEL}={unique}"
    one = f"{path}/va-0-{unique}"
    made = api.create(path, attachment(f"va-0-{unique}", unique))
    assert api.get(one)["metadata"]["uid"] == made["metadata"]["uid"]
    api.patch(one, {"metadata": {"labels": {"patched": "true"}}}, "strategic")
    assert names(api, path, f"{selector},patched=true") == [f"va-0-{unique}"]
    api.delete(one)
    api.gone(one)

    for number in (1, 2):
        api.create(path, attachment(f"va-{number}-{unique}", unique))
        api.update(f"{path}/va-{number}-{unique}", lambda obj: obj["metadata"]["labels"].update(updated="true"))
    assert len(names(api, path, f"{selector},updated=true")) == 2
    api.delete(path, labelSelector=f"{selector},updated=true")
    eventually(lambda: names(api, path, selector) == [], "both attachments are gone")


@row(443, "VolumeAttributesClass, lifecycle")
def test_volumeattributesclass_runs_through_its_lifecycle(api: Api, unique: str) -> None:
    attributes = labelled(f"vac-{unique}", unique, driverName="example.com", parameters={"iops": "100"})
    check_recreation(api, f"{_STORAGE}/volumeattributesclasses", attributes, f"{LABEL}={unique}")
