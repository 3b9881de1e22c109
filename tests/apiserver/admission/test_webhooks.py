"""Admission webhooks: who is asked, in which order and form, and what their answers and their silence do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.admission.configured import (
    CONFIGMAPS,
    GROUP,
    config_map,
    configured,
    create,
    hook,
    new_namespace,
    until_cached,
)
from tests.apiserver.admission.webhookserver import WebhookServer, patch_of
from tests.apiserver.cluster import Cluster, running_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]


def allow(request: Object) -> Object:
    return {"allowed": True}


def add(key: str, value: str) -> Any:
    return lambda request: patch_of({"op": "add", "path": f"/data/{key}", "value": value})


async def test_a_denial_reads_as_upstream_writes_it(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/deny"] = lambda request: {
        "allowed": False,
        "status": {"message": "because", "code": 403, "reason": "Forbidden"},
        "warnings": ["a warning", "another"],
    }
    webhooks.answering["/silent"] = lambda request: {"allowed": False}
    webhooks.answering["/reason"] = lambda request: {"allowed": False, "status": {"reason": "Odd", "code": 200}}
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/deny"))):
        answer = await create(cluster, namespace, config_map())
        assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
        assert answer.json["message"] == 'admission webhook "hook.example.com" denied the request: because'
        assert answer.headers["Warning"] == '299 - "a warning", 299 - "another"'
        elsewhere = await new_namespace(cluster)
        assert (await create(cluster, elsewhere, config_map())).status == 201
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/silent"))):
        answer = await create(cluster, namespace, config_map())
        assert answer.status == 400
        assert answer.json["message"] == 'admission webhook "hook.example.com" denied the request without explanation'
    async with configured(cluster, "mutating", namespace, hook(webhooks.url("/reason"))):
        answer = await create(cluster, namespace, config_map())
        assert answer.status == 400
        assert answer.json["message"] == 'admission webhook "hook.example.com" denied the request: Odd'
    assert (await create(cluster, namespace, config_map())).status == 201


async def test_the_review_says_what_is_asked(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/look"] = allow
    rule = {**CONFIGMAPS, "operations": ["*"]}
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/look"), rule, timeoutSeconds=7)):
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        await cluster.must("POST", f"{path}?fieldManager=me", config_map(a="1"))
        await cluster.must("PUT", f"{path}/x?dryRun=All", config_map(a="2"))
        await cluster.must("DELETE", f"{path}/x")
    created, updated, deleted = webhooks.requests("/look")
    assert webhooks.seen[-1][0] == "/look?timeout=7s"
    assert webhooks.seen[-1][1]["apiVersion"] == "admission.k8s.io/v1"
    assert created["kind"] == created["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert created["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (created["operation"], created["name"], created["namespace"]) == ("CREATE", "x", namespace)
    assert created["userInfo"]["username"] == "kubernetes-admin" and created["dryRun"] is False
    assert created["options"]["kind"] == "CreateOptions" and created["options"]["fieldManager"] == "me"
    assert created["object"]["data"] == {"a": "1"} and created["oldObject"] is None
    assert updated["dryRun"] is True and updated["options"]["dryRun"] == ["All"]
    assert (updated["object"]["data"], updated["oldObject"]["data"]) == ({"a": "2"}, {"a": "1"})
    assert deleted["object"] is None and deleted["oldObject"]["data"] == {"a": "1"}


async def test_webhooks_mutate_in_the_order_of_their_names_and_defaults_come_after(
    cluster: Cluster, webhooks: WebhookServer
) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/first"] = add("first", "yes")
    webhooks.answering["/second"] = lambda request: (
        add("second", "yes")(request) if "first" in request["object"]["data"] else {"allowed": True}
    )
    container = {"name": "added", "image": "busybox", "unknown": True}
    webhooks.answering["/pods"] = lambda request: patch_of(
        {"op": "add", "path": "/spec/initContainers", "value": [container]}
    )
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    account = {"metadata": {"name": "default"}}
    await cluster.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    async with (
        configured(cluster, "mutating", namespace, hook(webhooks.url("/second")), name=f"b-{namespace}"),
        configured(cluster, "mutating", namespace, hook(webhooks.url("/first")), name=f"a-{namespace}"),
        configured(cluster, "mutating", namespace, hook(webhooks.url("/pods"), pods)),
    ):
        made = (await create(cluster, namespace, config_map(own="1"))).json
        assert made["data"] == {"own": "1", "first": "yes", "second": "yes"}
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        made = (await create(cluster, namespace, pod, "pods")).json
        (added,) = made["spec"]["initContainers"]
        assert added["terminationMessagePolicy"] == "File" and "unknown" not in added
        # The token came after the webhook, in the second round of our own plugins.
        assert added["volumeMounts"][0]["mountPath"].startswith("/var/run/secrets")


async def test_a_webhook_that_asked_for_it_is_called_again_after_a_later_change(
    cluster: Cluster, webhooks: WebhookServer
) -> None:
    namespace = await new_namespace(cluster)
    for kind in ("again", "once"):
        webhooks.answering[f"/{kind}"] = allow
    webhooks.answering["/later"] = add("later", "yes")
    hooks = [
        hook(webhooks.url("/again"), name="again.example.com", reinvocationPolicy="IfNeeded"),
        hook(webhooks.url("/once"), name="once.example.com"),
        hook(webhooks.url("/later"), name="later.example.com", reinvocationPolicy="IfNeeded"),
    ]
    async with configured(cluster, "mutating", namespace, *hooks):
        assert (await create(cluster, namespace, config_map(a="1"))).status == 201
    assert ["later" in one["object"]["data"] for one in webhooks.requests("/again")] == [False, True]
    assert (len(webhooks.requests("/once")), len(webhooks.requests("/later"))) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"uid": "other", "allowed": True}, 'expected response.uid="'),
        ({"allowed": True, "patch": "W10="}, "webhook returned response.patch but not response.patchType"),
        ({"allowed": True, "patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        ({"allowed": True, "patchType": "X", "patch": "W10="}, 'webhook returned invalid response.patchType of "X"'),
        ({"allowed": True, "patchType": "JSONPatch", "patch": "%%%"}, "response.patch is not base64"),
        ({"allowed": "yes"}, "webhook response is not an AdmissionResponse"),
    ],
)
@pytest.mark.answers_500
async def test_a_nonsense_answer_is_a_failed_call(
    cluster: Cluster, webhooks: WebhookServer, answer: Object, text: str
) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/nonsense"] = lambda request: answer
    async with configured(cluster, "mutating", namespace, hook(webhooks.url("/nonsense"))):
        refused = await create(cluster, namespace, config_map())
    assert refused.status == 500
    start = 'Internal error occurred: failed calling webhook "hook.example.com": received invalid webhook response: '
    assert refused.json["message"].startswith(start + text)
    async with configured(cluster, "mutating", namespace, hook(webhooks.url("/nonsense"), failurePolicy="Ignore")):
        assert (await create(cluster, namespace, config_map())).status == 201


@pytest.mark.answers_500
async def test_a_slow_webhook_fails_by_its_own_timeout(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)

    def slow(request: Object) -> Object:
        time.sleep(2)
        return {"allowed": True}

    webhooks.answering["/slow"] = slow
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/slow"), timeoutSeconds=1)):
        refused = await create(cluster, namespace, config_map())
    url = webhooks.url("/slow")["url"]
    said = f'failed calling webhook "hook.example.com": failed to call webhook: Post "{url}?timeout=1s"'
    assert refused.json["message"] == f"Internal error occurred: {said}: context deadline exceeded"
    ignoring = hook(webhooks.url("/slow"), timeoutSeconds=1, failurePolicy="Ignore")
    async with configured(cluster, "validating", namespace, ignoring):
        assert (await create(cluster, namespace, config_map("ignored"))).status == 201
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/slow"))):
        assert (await create(cluster, namespace, config_map("waited"))).status == 201


async def test_conditions_selectors_and_rules_say_who_is_asked(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/no"] = lambda request: {"allowed": False}
    conditions = [{"name": "not-skipped", "expression": "object.metadata.name != 'skip-me'"}]
    selector = {"matchLabels": {"checked": "true"}}
    rule = {**CONFIGMAPS, "resources": ["configmaps"], "scope": "Cluster"}
    labelled = {**config_map("labelled"), "metadata": {"name": "labelled", "labels": {"checked": "true"}}}
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/no"), matchConditions=conditions)):
        assert (await create(cluster, namespace, config_map("skip-me"))).status == 201
        assert (await create(cluster, namespace, config_map("other"))).status == 400
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/no"), objectSelector=selector)):
        assert (await create(cluster, namespace, config_map("unlabelled"))).status == 201
        assert (await create(cluster, namespace, labelled)).status == 400
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/no"), rule)):
        assert (await create(cluster, namespace, config_map("cluster-scope"))).status == 201


async def test_a_condition_may_ask_the_authorizer(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/no"] = lambda request: {"allowed": False}
    text = "!authorizer.group('').resource('secrets').namespace('kube-system').check('delete').allowed()"
    conditions = [{"name": "weak", "expression": f"{text} && authorizer.requestResource.check('create').allowed()"}]
    grant = {
        "metadata": {"name": f"weak-{namespace}"},
        "subjects": [{"kind": "User", "name": "weak"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    }
    bound = await cluster.must("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", grant)
    await until_cached(cluster, bound)
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/no"), matchConditions=conditions)):
        assert (await create(cluster, namespace, config_map("strong"))).status == 201
        refused = await create(cluster, namespace, config_map("weak"), headers={"Impersonate-User": "weak"})
        assert refused.status == 400, refused.body


async def test_another_version_of_the_kind_is_asked_about_in_the_form_of_the_rule(
    cluster: Cluster, webhooks: WebhookServer
) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/hpa"] = lambda request: patch_of({"op": "replace", "path": "/spec/maxReplicas", "value": 7})
    rule = {
        "apiGroups": ["autoscaling"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["horizontalpodautoscalers"],
    }
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 9}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
    obj = {"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [metric]}}
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    exact = hook(webhooks.url("/hpa"), rule, matchPolicy="Exact")
    async with configured(cluster, "mutating", namespace, exact):
        made = await cluster.must("POST", f"{path}?dryRun=All", obj)
        assert made["spec"]["maxReplicas"] == 3 and not webhooks.requests("/hpa")
    async with configured(cluster, "mutating", namespace, hook(webhooks.url("/hpa"), rule)):
        made = await cluster.must("POST", path, obj)
    (request,) = webhooks.requests("/hpa")
    assert request["kind"]["version"] == "v1" and request["requestKind"]["version"] == "v2"
    assert request["object"]["apiVersion"] == "autoscaling/v1"
    assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 9
    assert made["apiVersion"] == "autoscaling/v2" and made["spec"]["maxReplicas"] == 7
    assert made["spec"]["metrics"] == [metric]


async def test_scale_is_asked_about_as_a_scale(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/scale"] = lambda request: patch_of({"op": "replace", "path": "/spec/replicas", "value": 5})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await cluster.must("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments/scale"],
    }
    async with configured(cluster, "mutating", namespace, hook(webhooks.url("/scale"), rule)):
        patch = {"spec": {"replicas": 2}}
        merge = "application/merge-patch+json"
        scaled = await cluster.must("PATCH", f"{path}/d/scale", patch, content_type=merge)
    (request,) = webhooks.requests("/scale")
    assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (request["subResource"], request["object"]["spec"]["replicas"]) == ("scale", 2)
    assert scaled["spec"]["replicas"] == 5
    assert (await cluster.must("GET", f"{path}/d"))["spec"]["replicas"] == 5


async def test_a_dry_run_calls_no_webhook_with_side_effects(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/effects"] = allow
    some = {**hook(webhooks.url("/effects")), "sideEffects": "NoneOnDryRun"}
    path = f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All"
    async with configured(cluster, "validating", namespace, some):
        assert (await cluster.request("POST", path, config_map())).status == 201
    assert len(webhooks.requests("/effects")) == 1


async def test_webhooks_are_never_asked_about_webhooks(cluster: Cluster, webhooks: WebhookServer) -> None:
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    webhooks.answering["/everything"] = lambda request: {"allowed": False}
    no_selector = {**hook(webhooks.url("/everything"), everything), "namespaceSelector": {}}
    async with configured(cluster, "validating", "", no_selector) as name:
        assert (await create(cluster, "default", config_map("control"))).status == 400
        path = f"{GROUP}/validatingwebhookconfigurations/{name}"
        change = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        changed = await cluster.request("PATCH", path, change, content_type="application/json-patch+json")
        assert changed.status == 200
    asked = {request["resource"]["resource"] for request in webhooks.requests("/everything")}
    assert "configmaps" in asked and "validatingwebhookconfigurations" not in asked


async def test_exec_is_asked_about_before_anything_is_dialled(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    await cluster.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "nowhere", "containers": [{"name": "c", "image": "i"}]}}
    assert (await create(cluster, namespace, pod, "pods")).status == 201
    webhooks.answering["/exec"] = lambda request: {"allowed": False, "status": {"message": "no shells"}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/exec"]}
    path = f"/api/v1/namespaces/{namespace}/pods/p/exec?command=sh&command=-c&stdin=true&stdout=true&container=c"
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/exec"), rule)):
        refused = await cluster.request("POST", path)
        assert refused.json["message"] == 'admission webhook "hook.example.com" denied the request: no shells'
    (request,) = webhooks.requests("/exec")
    assert request["operation"] == "CONNECT" and request["subResource"] == "exec" and request["name"] == "p"
    assert request["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    assert request["object"]["command"] == ["sh", "-c"] and request["object"]["stdin"] is True
    assert request["object"]["container"] == "c" and "tty" not in request["object"]


@pytest.mark.answers_500
async def test_a_service_is_called_at_one_of_its_endpoints(cluster: Cluster, webhooks: WebhookServer) -> None:
    namespace = await new_namespace(cluster)
    webhooks.answering["/service"] = lambda request: {"allowed": False, "status": {"message": "from the service"}}
    config = {
        "service": {"namespace": "default", "name": "hooks", "port": 8443, "path": "/service"},
        "caBundle": webhooks.ca_bundle,
    }
    async with configured(cluster, "validating", namespace, hook(config)):
        answer = await create(cluster, namespace, config_map())
        said = 'failed calling webhook "hook.example.com": failed to call webhook: Post '
        url = '"https://hooks.default.svc:8443/service?timeout=10s": service "hooks" not found'
        assert answer.json["message"] == f"Internal error occurred: {said}{url}"
        ports = [{"name": "https", "port": 8443, "targetPort": 1}]
        service = {"metadata": {"name": "hooks"}, "spec": {"ports": ports}}
        await cluster.must("POST", "/api/v1/namespaces/default/services", service)
        answer = await create(cluster, namespace, config_map())
        assert answer.json["message"].endswith('no endpoints available for service "hooks"')
        slices = {
            "metadata": {"name": "hooks", "labels": {"kubernetes.io/service-name": "hooks"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [webhooks.address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": webhooks.port}],
        }
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        await until_cached(cluster, await cluster.must("POST", path, slices))
        answer = await create(cluster, namespace, config_map())
        assert answer.json["message"].endswith("denied the request: from the service")


@pytest.mark.answers_500
async def test_a_dead_webhook_for_everything_keeps_no_server_from_starting(tmp_path: Path) -> None:
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    dead = {**hook({"url": "https://192.0.2.1:9/dead"}, everything, timeoutSeconds=1), "namespaceSelector": {}}
    flow = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/global-default"
    async with running_cluster(tmp_path) as first:
        await first.must("DELETE", flow)
        configuration = {"metadata": {"name": "dead"}, "webhooks": [dead]}
        await first.must("POST", f"{GROUP}/validatingwebhookconfigurations", configuration)
    async with running_cluster(tmp_path) as second:
        assert (await second.must("GET", flow))["metadata"]["name"] == "global-default"
        assert (await create(second, "default", config_map())).status == 500
        await second.must("DELETE", f"{GROUP}/validatingwebhookconfigurations/dead")
