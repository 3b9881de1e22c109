"""Admission webhooks, behind a Service whose only endpoint is a real webhook of this test run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.apiserver.admission.webhookserver import WebhookServer, patch_of, webhook_server
from tests.conformance.api import Answer, Api, Object, eventually
from tests.conformance.cluster import Cluster
from tests.conformance.crds import DEFINITIONS, CustomResource, installed
from tests.conformance.rows import row

GROUP = "/apis/admissionregistration.k8s.io/v1"
SERVICE, PORT = "e2e-test-webhook", 8443
DENIED = "denied the request: "
CONFIGMAPS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
PODS = {**CONFIGMAPS, "resources": ["pods"]}


@dataclass(frozen=True)
class Hooks:
    """The webhook service and the test's namespace."""

    api: Api
    server: WebhookServer
    home: str
    namespace: str

    def hook(self, path: str, *rules: Object, name: str = "hook.example.com", **more: Any) -> Object:
        service = {"namespace": self.home, "name": SERVICE, "port": PORT, "path": path}
        return {
            "name": name,
            "clientConfig": {"service": service, "caBundle": self.server.ca_bundle},
            "rules": list(rules) or [CONFIGMAPS],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "objectSelector": {"matchExpressions": [{"key": "probe", "operator": "DoesNotExist"}]},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }

    @contextmanager
    def configured(self, kind: str, *hooks: Object) -> Iterator[str]:
        """`kind`: mutating or validating.  In force from the first line of the block: a probe has been answered."""
        probe = f"/probe-{uuid.uuid4().hex}"
        self.server.answering[probe] = lambda request: {"allowed": False}
        last = self.hook(probe, name="probe.example.com")
        last["objectSelector"] = {"matchLabels": {"probe": probe[1:]}}
        name = f"webhooks-{uuid.uuid4().hex[:8]}"
        plural = f"{GROUP}/{kind}webhookconfigurations"
        self.api.create(plural, {"metadata": {"name": name}, "webhooks": [*hooks, last]})
        try:
            obj = {"metadata": {"name": "probe", "labels": {"probe": probe[1:]}}}
            eventually(lambda: self.create(obj, dryRun="All").status == 400, f"{name} is in force")
            yield f"{plural}/{name}"
        finally:
            self.api.delete(f"{plural}/{name}")
            eventually(lambda: self.create(obj, dryRun="All").status == 201, f"{name} is no longer in force")

    def create(self, obj: Object, plural: str = "configmaps", namespace: str = "", **query: str) -> Answer:
        path = f"/api/v1/namespaces/{namespace or self.namespace}/{plural}"
        return self.api.call("POST", path, obj, headers=None, **query)

    def made(self, obj: Object, plural: str = "configmaps") -> Object:
        answer = self.create(obj, plural)
        assert answer.status == 201, answer.message
        found: Object = answer.json
        return found

    def denied(self, why: str, obj: Object, plural: str = "configmaps") -> None:
        answer = self.create(obj, plural)
        assert answer.status >= 400 and f"{DENIED}{why}" in answer.message, f"{answer.status} {answer.message}"


def config_map(name: str, **data: str) -> Object:
    return {"metadata": {"name": name}, "data": data}


def stage(number: int) -> Callable[[Object], Object]:
    """Adds its key to what has the key of the stage before (stage 1: the start)."""

    def answer(request: Object) -> Object:
        before = "mutation-start" if number == 1 else f"mutation-stage-{number - 1}"
        if before not in request["object"].get("data", {}):
            return {"allowed": True}
        return patch_of({"op": "add", "path": f"/data/mutation-stage-{number}", "value": "yes"})

    return answer


def disallow(request: Object) -> Object:
    """No object whose data says so is written or deleted."""
    obj = request["object"] or request["oldObject"]
    bad = obj.get("data", {}).get("webhook-e2e-test") == "webhook-disallow"
    return {"allowed": not bad, "status": {"message": "the object contains unwanted value"}}


def deny(request: Object) -> Object:
    return {"allowed": False, "status": {"message": "this webhook denies all requests"}}


def hang(request: Object) -> Object:
    time.sleep(2)
    return {"allowed": True}


ANSWERING: dict[str, Callable[[Object], Object]] = {
    "/stage-1": stage(1),
    "/stage-2": stage(2),
    "/disallow": disallow,
    "/deny": deny,
    "/hang": hang,
    "/init-container": lambda request: patch_of(
        {"op": "add", "path": "/spec/initContainers", "value": [{"name": "webhook-added-init", "image": "busybox"}]}
    ),
    "/label": lambda request: patch_of({"op": "add", "path": "/metadata/labels", "value": {"mutated": "yes"}}),
}


@pytest.fixture(scope="module")
def home(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, WebhookServer]]:
    """The namespace of the webhook service, and the webhook."""
    name = f"webhooks-{uuid.uuid4().hex[:8]}"
    api = cluster.api
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    with webhook_server(tmp_path_factory.mktemp("webhook"), f"{SERVICE}.{name}.svc") as server:
        server.answering |= ANSWERING
        ports = [{"name": "https", "port": PORT}]
        api.create(f"/api/v1/namespaces/{name}/services", {"metadata": {"name": SERVICE}, "spec": {"ports": ports}})
        one = {
            "metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [server.address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": server.port}],
        }
        api.create(f"/apis/discovery.k8s.io/v1/namespaces/{name}/endpointslices", one)
        yield name, server
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def hooks(home: tuple[str, WebhookServer], api: Api, namespace: str) -> Hooks:
    return Hooks(api, home[1], home[0], namespace)


def check_listing(hooks: Hooks, kind: str, path: str, is_in_force: Callable[[], bool]) -> None:
    plural, label = f"{GROUP}/{kind}webhookconfigurations", uuid.uuid4().hex
    for number in range(10):
        webhook = hooks.hook(path, name=f"hook-{number}.example.com")
        metadata = {"name": f"{label[:8]}-{number}", "labels": {"list": label}}
        hooks.api.create(plural, {"metadata": metadata, "webhooks": [webhook]})
    assert len(hooks.api.items(plural, f"list={label}")) == 10
    eventually(is_in_force, "the webhooks are in force")
    hooks.api.delete(plural, labelSelector=f"list={label}")
    assert hooks.api.items(plural, f"list={label}") == []
    eventually(lambda: not is_in_force(), "the webhooks are no longer in force")


def is_mutated(hooks: Hooks) -> bool:
    answer = hooks.create(config_map("probe", **{"mutation-start": "yes"}), dryRun="All")
    assert answer.status == 201, answer.message
    return "mutation-stage-1" in answer.json["data"]


def is_denied(hooks: Hooks) -> bool:
    answer = hooks.create(config_map("probe", **{"webhook-e2e-test": "webhook-disallow"}), dryRun="All")
    return answer.status != 201


@row(4, "Admission webhook, list mutating webhooks")
def test_mutating_webhooks_are_listed_and_deleted_by_label(hooks: Hooks) -> None:
    check_listing(hooks, "mutating", "/stage-1", lambda: is_mutated(hooks))


@row(5, "Admission webhook, list validating webhooks")
def test_validating_webhooks_are_listed_and_deleted_by_label(hooks: Hooks) -> None:
    check_listing(hooks, "validating", "/disallow", lambda: is_denied(hooks))


def check_updating(hooks: Hooks, kind: str, path: str, is_in_force: Callable[[], bool]) -> None:
    with hooks.configured(kind, hooks.hook(path)) as configuration:
        assert is_in_force()

        def drop_create(obj: Object) -> None:
            obj["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]

        hooks.api.update(configuration, drop_create)
        eventually(lambda: not is_in_force(), "creations are not looked at")
        operations = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
        hooks.api.patch(configuration, operations, "json")
        eventually(is_in_force, "creations are looked at again")


@row(6, "Admission webhook, update mutating webhook")
def test_an_updated_and_patched_mutating_webhook_is_followed(hooks: Hooks) -> None:
    check_updating(hooks, "mutating", "/stage-1", lambda: is_mutated(hooks))


@row(7, "Admission webhook, update validating webhook")
def test_an_updated_and_patched_validating_webhook_is_followed(hooks: Hooks) -> None:
    check_updating(hooks, "validating", "/disallow", lambda: is_denied(hooks))


def check_conditions_are_kept(hooks: Hooks, kind: str) -> None:
    first = [{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}]
    second = [*first, {"name": "expression-2", "expression": "object.metadata.namespace == 'staging'"}]
    with hooks.configured(kind, hooks.hook("/deny", matchConditions=first)) as path:
        assert hooks.api.get(path)["webhooks"][0]["matchConditions"] == first

        def change(obj: Object) -> None:
            obj["webhooks"][0]["matchConditions"] = second

        hooks.api.update(path, change)
        assert hooks.api.get(path)["webhooks"][0]["matchConditions"] == second


@row(8, "Mutating Admission webhook, create and update mutating webhook configuration with matchConditions")
def test_match_conditions_of_mutating_webhooks_are_kept(hooks: Hooks) -> None:
    check_conditions_are_kept(hooks, "mutating")


@row(9, "Validating Admission webhook, create and update validating webhook configuration with matchConditions")
def test_match_conditions_of_validating_webhooks_are_kept(hooks: Hooks) -> None:
    check_conditions_are_kept(hooks, "validating")


@row(10, "Admission webhook, deny attach")
def test_a_webhook_denies_attaching_to_a_pod(hooks: Hooks, cluster: Cluster) -> None:
    pod = {"metadata": {"name": "to-be-attached"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    hooks.made(pod, "pods")
    path = f"/api/v1/namespaces/{hooks.namespace}/pods/to-be-attached"
    eventually(lambda: hooks.api.get(path)["status"].get("phase") == "Running", "the pod runs")
    rule = {**PODS, "operations": ["CONNECT"], "resources": ["pods/attach"]}
    with hooks.configured("validating", hooks.hook("/deny", rule, objectSelector={})):
        error = cluster.kubectl_fails("attach", f"--namespace={hooks.namespace}", "to-be-attached", "-i", "-c", "c")
        assert f'admission webhook "hook.example.com" {DENIED}this webhook denies all requests' in error


@row(11, "Admission webhook, deny custom resource create and delete")
def test_a_webhook_denies_creating_changing_and_deleting_custom_resources(hooks: Hooks) -> None:
    bad, why = {"webhook-e2e-test": "webhook-disallow"}, f"{DENIED}the object contains unwanted value"
    with installed(hooks.api, CustomResource.make()) as resource:
        rule = {
            "apiGroups": [resource.group],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": [resource.plural],
        }
        instances = resource.instances(hooks.namespace)
        hooks.api.create(instances, resource.instance("to-be-deleted", data=bad))
        hooks.api.create(instances, resource.instance("harmless", data={}))
        with hooks.configured("validating", hooks.hook("/disallow", rule)):
            answer = hooks.api.call("POST", instances, resource.instance("unwanted", data=bad))
            assert answer.status >= 400 and why in answer.message
            merge = "application/merge-patch+json"
            answer = hooks.api.call("PATCH", f"{instances}/harmless", {"data": bad}, content_type=merge)
            assert answer.status >= 400 and why in answer.message
            answer = hooks.api.call("DELETE", f"{instances}/to-be-deleted")
            assert answer.status >= 400 and why in answer.message
            hooks.api.patch(f"{instances}/to-be-deleted", {"data": {"webhook-e2e-test": None}})
            hooks.api.delete(f"{instances}/to-be-deleted")


@row(12, "Admission webhook, deny create")
def test_webhooks_deny_pods_and_config_maps(hooks: Hooks, make_namespace: Callable[[], str]) -> None:
    bad = {"webhook-e2e-test": "webhook-disallow"}
    hanging = hooks.hook("/hang", PODS, name="hang.example.com", timeoutSeconds=1)
    hanging["objectSelector"] = {"matchLabels": {"hang": "yes"}}
    pod: Object = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    with hooks.configured(
        "validating", hooks.hook("/disallow"), hooks.hook("/deny", PODS, name="no.example.com"), hanging
    ):
        hooks.denied("this webhook denies all requests", pod, "pods")
        pod["metadata"]["labels"] = {"hang": "yes"}
        answer = hooks.create(pod, "pods")
        assert answer.status >= 400 and ("deadline exceeded" in answer.message or DENIED in answer.message)
        hooks.denied("the object contains unwanted value", config_map("unwanted", **bad))
        made = hooks.made(config_map("harmless", admit="this"))
        path = f"/api/v1/namespaces/{hooks.namespace}/configmaps/harmless"
        answer = hooks.api.call("PUT", path, {**made, "data": bad})
        assert answer.status >= 400 and "unwanted value" in answer.message
        merge = "application/merge-patch+json"
        answer = hooks.api.call("PATCH", path, {"data": bad}, content_type=merge)
        assert answer.status >= 400 and "unwanted value" in answer.message
        exempt = make_namespace()
        assert hooks.create(config_map("unwanted", **bad), namespace=exempt).status == 201


@row(13, "Admission webhook, deny custom resource definition")
def test_a_webhook_denies_a_custom_resource_definition(hooks: Hooks) -> None:
    rule = {
        "apiGroups": ["apiextensions.k8s.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["customresourcedefinitions"],
    }
    label = {"unwanted": hooks.namespace}
    webhook = hooks.hook("/deny", rule)
    del webhook["namespaceSelector"]
    webhook["objectSelector"] = {"matchLabels": label}
    with hooks.configured("validating", webhook):
        answer = hooks.api.call("POST", DEFINITIONS, CustomResource.make().definition(label))
        assert answer.status >= 400 and f"{DENIED}this webhook denies all requests" in answer.message


@row(14, "Admission webhook, honor timeout")
def test_the_timeout_of_a_webhook_is_honoured(hooks: Hooks) -> None:
    with hooks.configured("validating", hooks.hook("/hang", timeoutSeconds=1)):
        answer = hooks.create(config_map("too-slow"))
        assert answer.status == 500 and "context deadline exceeded" in answer.message
    with hooks.configured("validating", hooks.hook("/hang", timeoutSeconds=1, failurePolicy="Ignore")):
        assert hooks.create(config_map("ignored")).status == 201
    with hooks.configured("validating", hooks.hook("/hang", timeoutSeconds=10)):
        assert hooks.create(config_map("in-time")).status == 201
    with hooks.configured("validating", hooks.hook("/hang")) as path:
        assert hooks.create(config_map("default")).status == 201
        assert hooks.api.get(path)["webhooks"][0]["timeoutSeconds"] == 10


@row(15, "Admission webhook, discovery document")
def test_discovery_lists_the_webhook_resources(hooks: Hooks) -> None:
    (group,) = [one for one in hooks.api.get("/apis")["groups"] if one["name"] == "admissionregistration.k8s.io"]
    assert "v1" in [version["version"] for version in group["versions"]]
    document = hooks.api.get("/apis/admissionregistration.k8s.io")
    assert "admissionregistration.k8s.io/v1" in [version["groupVersion"] for version in document["versions"]]
    names = {resource["name"] for resource in hooks.api.get(GROUP)["resources"]}
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= names


@row(16, "Admission webhook, ordered mutation")
def test_webhooks_of_a_configuration_mutate_in_order(hooks: Hooks) -> None:
    first = hooks.hook("/stage-1", name="one.example.com")
    with hooks.configured("mutating", first, hooks.hook("/stage-2", name="two.example.com")):
        made = hooks.made(config_map("mutated", **{"mutation-start": "yes"}))
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


def custom_rule(resource: CustomResource) -> Object:
    return {
        "apiGroups": [resource.group],
        "apiVersions": list(resource.schemas),
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource.plural],
    }


@row(17, "Admission webhook, mutate custom resource")
def test_webhooks_mutate_a_custom_resource(hooks: Hooks) -> None:
    with installed(hooks.api, CustomResource.make()) as resource:
        stages = [hooks.hook(f"/stage-{n}", custom_rule(resource), name=f"s{n}.example.com") for n in (1, 2)]
        with hooks.configured("mutating", *stages):
            obj = resource.instance("mutated", data={"mutation-start": "yes"})
            made = hooks.api.create(resource.instances(hooks.namespace), obj)
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


@row(18, "Admission webhook, mutate custom resource with different stored version")
def test_webhooks_mutate_a_custom_resource_of_another_stored_version(hooks: Hooks) -> None:
    with installed(hooks.api, CustomResource.make(None, "v1", "v2")) as resource:
        stages = [hooks.hook(f"/stage-{n}", custom_rule(resource), name=f"s{n}.example.com") for n in (1, 2)]
        path = f"{resource.instances(hooks.namespace)}/stored"
        obj = resource.instance("stored", data={"mutation-start": "yes"})
        with hooks.configured("mutating", *stages):
            hooks.api.create(resource.instances(hooks.namespace), obj)

            def flip(definition: Object) -> None:
                for version in definition["spec"]["versions"]:
                    version["storage"] = version["name"] == "v2"

            hooks.api.update(resource.path, flip)
            patched = hooks.api.patch(path, {"dummy": "test"})
        assert patched["dummy"] == "test"
        assert patched["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


@row(19, "Admission webhook, mutate custom resource with pruning")
def test_what_a_webhook_adds_beyond_the_schema_is_pruned(hooks: Hooks) -> None:
    text = {"type": "string"}
    data = {"type": "object", "properties": {"mutation-start": text, "mutation-stage-1": text}}
    schema = {"type": "object", "properties": {"data": data}}
    with installed(hooks.api, CustomResource.make(schema)) as resource:
        stages = [hooks.hook(f"/stage-{n}", custom_rule(resource), name=f"s{n}.example.com") for n in (1, 2)]
        with hooks.configured("mutating", *stages):
            obj = resource.instance("pruned", data={"mutation-start": "yes"})
            made = hooks.api.create(resource.instances(hooks.namespace), obj)
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}
        assert hooks.api.get(f"{resource.instances(hooks.namespace)}/pruned")["data"] == made["data"]


@row(20, "Mutating Admission webhook, mutating webhook excluding object with specific name")
def test_a_match_condition_leaves_one_name_alone(hooks: Hooks) -> None:
    conditions = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    with hooks.configured("mutating", hooks.hook("/stage-1", matchConditions=conditions)):
        skipped = hooks.made(config_map("skip-me", **{"mutation-start": "yes"}))
        other = hooks.made(config_map("other", **{"mutation-start": "yes"}))
    assert skipped["data"] == {"mutation-start": "yes"}
    assert other["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}


@row(21, "Admission webhook, mutation with defaulting")
def test_defaults_are_set_after_a_mutation(hooks: Hooks) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    with hooks.configured("mutating", hooks.hook("/init-container", {**PODS, "operations": ["CREATE"]})):
        (added,) = hooks.made(pod, "pods")["spec"]["initContainers"]
    assert (added["name"], added["terminationMessagePolicy"]) == ("webhook-added-init", "File")


@row(22, "Admission webhook, admission control not allowed on webhook configuration objects")
def test_webhooks_neither_change_nor_keep_webhook_configurations(hooks: Hooks) -> None:
    rule = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "apiVersions": ["*"],
        "operations": ["*"],
        "resources": ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
    }
    denying, changing = hooks.hook("/deny", rule), hooks.hook("/label", rule)
    for webhook in (denying, changing):
        del webhook["namespaceSelector"]
        webhook["objectSelector"] = {"matchLabels": {"dummy": hooks.namespace}}
    with hooks.configured("validating", denying), hooks.configured("mutating", changing):
        for kind in ("mutating", "validating"):
            metadata = {"name": f"dummy-{kind}-{hooks.namespace}", "labels": {"dummy": hooks.namespace}}
            dummy = {"metadata": metadata, "webhooks": [hooks.hook("/disallow", name="dummy.example.com")]}
            made = hooks.api.create(f"{GROUP}/{kind}webhookconfigurations", dummy)
            assert made["metadata"]["labels"] == {"dummy": hooks.namespace}
            hooks.api.delete(f"{GROUP}/{kind}webhookconfigurations/{metadata['name']}")


def check_invalid_conditions(hooks: Hooks, kind: str) -> None:
    conditions = [{"name": "invalid-expression-1", "expression": "... [] bad expression"}]
    configuration = {
        "metadata": {"name": f"invalid-{hooks.namespace}"},
        "webhooks": [hooks.hook("/deny", matchConditions=conditions)],
    }
    answer = hooks.api.call("POST", f"{GROUP}/{kind}webhookconfigurations", configuration)
    assert answer.status == 422 and "compilation failed" in answer.message


@row(23, "Mutating Admission webhook, reject mutating webhook configurations with invalid matchConditions")
def test_a_mutating_webhook_with_a_broken_condition_is_refused(hooks: Hooks) -> None:
    check_invalid_conditions(hooks, "mutating")


@row(24, "Validing Admission webhook, reject validating webhook configurations with invalid matchConditions")
def test_a_validating_webhook_with_a_broken_condition_is_refused(hooks: Hooks) -> None:
    check_invalid_conditions(hooks, "validating")


@row(25, "Admission webhook, fail closed")
def test_a_webhook_that_cannot_be_called_rejects_everything(hooks: Hooks) -> None:
    closed = hooks.hook("/disallow")
    del closed["clientConfig"]["caBundle"]
    plural = f"{GROUP}/validatingwebhookconfigurations"
    name = f"closed-{hooks.namespace}"
    hooks.api.create(plural, {"metadata": {"name": name}, "webhooks": [closed]})
    try:
        answer = eventually(
            lambda: found if (found := hooks.create(config_map("any"), dryRun="All")).status != 201 else None,
            "the webhook is in force",
        )
        assert (answer.status, answer.json["reason"]) == (500, "InternalError")
        assert answer.message.startswith("Internal error occurred: failed calling webhook")
    finally:
        hooks.api.delete(f"{plural}/{name}")
