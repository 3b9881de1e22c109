"""ConfigMaps, Secrets, ServiceAccounts, PodTemplates, LimitRanges: written, selected, frozen, collected."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row

LABEL = "conformance-test"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def check_empty_key(api: Api, path: str, value: str) -> None:
    status = api.refused(422, "POST", path, {"metadata": {"name": "example"}, "data": {"": value}})
    assert status["reason"] == "Invalid"
    assert status["details"]["causes"][0]["field"] == "data[]"


def check_immutability(api: Api, path: str, value: Callable[[str], str]) -> None:
    """`path`: a collection of ConfigMaps or Secrets; `value` writes a text as its data."""
    api.create(path, {"metadata": {"name": "example"}, "data": {"key": value("1")}})
    one = f"{path}/example"
    assert api.patch(one, {"data": {"key": value("2")}})["data"]["key"] == value("2")  # may be changed before
    assert api.patch(one, {"immutable": True})["immutable"] is True

    for change in ({"data": {"key": value("3")}}, {"data": {"more": value("3")}}, {"immutable": None}):
        assert (
            api.refused(422, "PATCH", one, change, content_type="application/merge-patch+json")["reason"] == "Invalid"
        )
    unfrozen = api.get(one)
    del unfrozen["immutable"]
    assert "field is immutable when `immutable` is set" in api.refused(422, "PUT", one, unfrozen)["message"]
    assert api.get(one)["data"] == {"key": value("2")}

    assert api.patch(one, {"metadata": {"labels": {"still": "possible"}}})["metadata"]["labels"]["still"] == "possible"
    api.delete(one)
    api.gone(one)


@row(209, "ConfigMap, with empty-key")
def test_creating_a_configmap_with_an_empty_key_fails(api: Api, namespace: str) -> None:
    check_empty_key(api, f"/api/v1/namespaces/{namespace}/configmaps", "value-1")


@row(279, "Secrets, with empty-key")
def test_creating_a_secret_fails_due_to_an_empty_secret_key(api: Api, namespace: str) -> None:
    check_empty_key(api, f"/api/v1/namespaces/{namespace}/secrets", encoded("value-1"))


@row(304, "ConfigMap Volume, immutability")
def test_a_configmap_is_immutable_if_its_immutable_field_is_set(api: Api, namespace: str) -> None:
    check_immutability(api, f"/api/v1/namespaces/{namespace}/configmaps", str)


@row(353, "Secrets Volume, immutability")
def test_a_secret_is_immutable_if_its_immutable_field_is_set(api: Api, namespace: str) -> None:
    check_immutability(api, f"/api/v1/namespaces/{namespace}/secrets", encoded)


@row(210, "ConfigMap lifecycle")
def test_a_configmap_runs_through_its_lifecycle(api: Api, namespace: str, unique: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/configmaps", f"{LABEL}={unique}"
    with api.watch(path, labelSelector=selector) as watch:
        made = {"metadata": {"name": "example", "labels": {LABEL: unique}}, "data": {"valueName": "value"}}
        api.create(path, made)
        assert watch.must_be("ADDED", "example")["data"] == {"valueName": "value"}

        patch = {"metadata": {"labels": {"patched": "true"}}, "data": {"valueName": "value1"}}
        api.patch(f"{path}/example", patch, "strategic")
        assert watch.must_be("MODIFIED", "example")["data"]["valueName"] == "value1"
        found = api.get(f"{path}/example")
        assert (found["data"]["valueName"], found["metadata"]["labels"]["patched"]) == ("value1", "true")

        listed = api.items("/api/v1/configmaps", selector)
        assert [(item["metadata"]["namespace"], item["data"]) for item in listed] == [(namespace, found["data"])]
        api.delete(path, labelSelector=selector)
        watch.must_be("DELETED", "example")
    assert api.items(path, selector) == []


@row(211, "ConfigMap Update")
def test_a_configmap_is_updated_successfully(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = api.create(path, {"metadata": {"name": "example"}, "data": {"data": "value"}})
    made["data"]["data"] = "value-2"
    made["data"]["more"] = "value-3"
    api.replace(f"{path}/example", made)
    assert api.get(f"{path}/example")["data"] == {"data": "value-2", "more": "value-3"}


@row(280, "Secret patching")
def test_a_secret_is_patched(api: Api, namespace: str, unique: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/secrets", f"{LABEL}={unique}"
    metadata = {"name": "example", "labels": {LABEL: unique}}
    api.create(path, {"metadata": metadata, "type": "Opaque", "data": {"key": encoded("value")}})
    assert [item["metadata"]["namespace"] for item in api.items("/api/v1/secrets", selector)] == [namespace]

    patch = {"metadata": {"labels": {"patched": "true"}}, "data": {"key": encoded("value1")}}
    api.patch(f"{path}/example", patch, "strategic")
    found = api.items("/api/v1/secrets", "patched=true," + selector)
    assert [item["data"]["key"] for item in found] == [encoded("value1")]
    api.delete(path, labelSelector=selector)
    eventually(lambda: api.items(path, selector) == [], "the secret is gone")


@row(176, "ServiceAccount lifecycle test")
def test_serviceaccounts_run_through_the_lifecycle_of_a_serviceaccount(api: Api, namespace: str, unique: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/serviceaccounts", f"{LABEL}={unique}"
    with api.watch(path, labelSelector=selector) as watch:
        api.create(path, {"metadata": {"name": "example", "labels": {LABEL: unique}}})
        watch.must_be("ADDED", "example")
        api.patch(f"{path}/example", {"automountServiceAccountToken": False}, "strategic")
        assert watch.must_be("MODIFIED", "example")["automountServiceAccountToken"] is False
        listed = api.items("/api/v1/serviceaccounts", selector)
        assert [(item["metadata"]["name"], item["automountServiceAccountToken"]) for item in listed] == [
            ("example", False)
        ]
        api.delete(path, labelSelector=selector)
        watch.must_be("DELETED", "example")


@row(177, "ServiceAccount, update a ServiceAccount")
def test_serviceaccounts_update_a_serviceaccount(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(path, {"metadata": {"name": "example"}, "automountServiceAccountToken": False})
    updated = api.update(f"{path}/example", lambda obj: obj.update(automountServiceAccountToken=True))
    assert updated["automountServiceAccountToken"] is True
    assert api.get(f"{path}/example")["automountServiceAccountToken"] is True


def pod_template(name: str, label: str) -> Object:
    spec = {"containers": [{"name": "nginx", "image": "nginx"}]}
    return {"metadata": {"name": name, "labels": {LABEL: label}}, "template": {"spec": spec}}


@row(245, "PodTemplate, delete a collection")
def test_a_collection_of_pod_templates_is_deleted(api: Api, namespace: str, unique: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/podtemplates", f"{LABEL}={unique}"
    api.create(path, pod_template("kept", f"{unique}-kept"))
    for number in range(3):
        api.create(path, pod_template(f"example-{number}", unique))
    assert len(api.items(path, selector)) == 3
    api.delete(path, labelSelector=selector)
    eventually(lambda: api.items(path, selector) == [], "the pod templates are gone")
    assert [item["metadata"]["name"] for item in api.items(path)] == ["kept"]


@row(246, "PodTemplate, replace")
def test_a_pod_template_is_replaced(api: Api, namespace: str, unique: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    api.create(path, pod_template("example", unique))
    updated = api.update(f"{path}/example", lambda obj: obj["metadata"].update(annotations={"updated": "true"}))
    assert updated["metadata"]["annotations"] == {"updated": "true"}
    assert api.get(f"{path}/example")["metadata"]["annotations"] == {"updated": "true"}


@row(247, "PodTemplate lifecycle")
def test_the_lifecycle_of_podtemplates(api: Api, namespace: str, unique: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/podtemplates", f"{LABEL}={unique}"
    api.create(path, pod_template("example", unique))
    assert api.get(f"{path}/example")["template"]["spec"]["containers"][0]["image"] == "nginx"
    api.patch(f"{path}/example", {"metadata": {"labels": {"podtemplate": "patched"}}}, "strategic")
    assert api.get(f"{path}/example")["metadata"]["labels"] == {LABEL: unique, "podtemplate": "patched"}
    listed = api.items("/api/v1/podtemplates", "podtemplate=patched," + selector)
    assert [item["metadata"]["namespace"] for item in listed] == [namespace]
    api.delete(f"{path}/example")
    api.gone(f"{path}/example")
    assert api.items("/api/v1/podtemplates", selector) == []


@row(402, "LimitRange, list, patch and delete a LimitRange by collection")
def test_limitranges_are_listed_patched_and_deleted_by_collection(
    api: Api, unique: str, make_namespace: Callable[[], str]
) -> None:
    selector = f"{LABEL}={unique}"
    first, second = (f"/api/v1/namespaces/{make_namespace()}/limitranges" for _ in range(2))
    limits = [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "50m"}}]
    for path in (first, second):
        api.create(path, {"metadata": {"name": "example", "labels": {LABEL: unique}}, "spec": {"limits": limits}})
    assert len(api.items("/api/v1/limitranges", selector)) == 2

    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"limits": [{**limits[0], "max": {"cpu": "1"}}]}}
    api.patch(f"{first}/example", patch, "strategic")
    found = api.items("/api/v1/limitranges", "patched=true," + selector)
    assert [item["spec"]["limits"][0]["max"] for item in found] == [{"cpu": "1"}]
    assert api.items(second, "patched=true") == []

    api.delete(first, labelSelector=selector)
    eventually(lambda: api.items(first, selector) == [], "the limit range is gone")
    left = api.items("/api/v1/limitranges", selector)
    assert [f"/api/v1/namespaces/{item['metadata']['namespace']}/limitranges" for item in left] == [second]
