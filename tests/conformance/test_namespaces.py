"""Namespaces: update, patch, status and finalizers."""

from __future__ import annotations

from tests.conformance.api import Api, Object
from tests.conformance.rows import row


@row(69, "Namespace, apply finalizer to a namespace")
def test_namespaces_apply_a_finalizer_to_a_namespace(api: Api, namespace: str) -> None:
    path, finalizer = f"/api/v1/namespaces/{namespace}", "e2e.example.com/fakeFinalizer"
    assert finalizer not in api.get(path)["spec"]["finalizers"]

    added = api.get(path)
    added["spec"]["finalizers"].append(finalizer)
    assert finalizer in api.replace(f"{path}/finalize", added)["spec"]["finalizers"]
    assert api.get(path)["spec"]["finalizers"] == ["kubernetes", finalizer]

    removed = api.get(path)
    removed["spec"]["finalizers"].remove(finalizer)
    assert api.replace(f"{path}/finalize", removed)["spec"]["finalizers"] == ["kubernetes"]
    assert api.get(path)["spec"]["finalizers"] == ["kubernetes"]


@row(70, "Namespace, apply update to a namespace")
def test_namespaces_apply_an_update_to_a_namespace(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    updated = api.update(path, lambda obj: obj["metadata"]["labels"].update(updated="yes"))
    assert updated["metadata"]["labels"]["updated"] == "yes"
    assert api.get(path)["metadata"]["labels"] == {"kubernetes.io/metadata.name": namespace, "updated": "yes"}


@row(71, "Namespace, apply changes to a namespace status")
def test_namespaces_apply_changes_to_a_namespace_status(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/status"
    assert api.get(path)["status"]["phase"] == "Active"

    condition = {"type": "StatusPatch", "status": "True", "reason": "Tested", "message": "patched by the test"}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"conditions": [condition]}}
    patched = api.patch(path, patch)
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    assert _conditions(patched)["StatusPatch"]["message"] == "patched by the test"
    assert _conditions(api.get(path))["StatusPatch"]["reason"] == "Tested"

    more = {"type": "StatusUpdate", "status": "True", "reason": "Tested", "message": "updated by the test"}
    updated = api.update(path, lambda obj: obj["status"]["conditions"].append(more))
    assert _conditions(updated)["StatusUpdate"]["message"] == "updated by the test"
    assert set(_conditions(api.get(path))) >= {"StatusPatch", "StatusUpdate"}
    assert api.get(path)["status"]["phase"] == "Active"


@row(74, "Namespace patching")
def test_namespaces_patch_a_namespace(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    before = int(api.get(path)["metadata"]["resourceVersion"])
    api.patch(path, {"metadata": {"labels": {"testLabel": "testValue"}}}, "strategic")
    found = api.get(path)
    assert found["metadata"]["labels"]["testLabel"] == "testValue"
    assert int(found["metadata"]["resourceVersion"]) > before


def _conditions(obj: Object) -> dict[str, Object]:
    return {condition["type"]: condition for condition in obj["status"].get("conditions", [])}
