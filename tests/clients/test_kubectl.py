"""What people do with an unmodified kubectl 1.37, against simulated nodes: every flow that needs no containers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.running import KUBECTL, RunningCluster
from tests.cli.waiting import until

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, labels: {app: %s}}
spec:
  replicas: 2
  selector: {matchLabels: {app: %s}}
  template:
    metadata: {labels: {app: %s}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: %s}
spec: {selector: {app: %s}, ports: [{port: 80}]}
"""
MAP = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}, "data": {"a": "%s"}}'


def _app(name: str) -> str:
    return APP.replace("%s", name)


def _available(cluster: RunningCluster, name: str) -> None:
    cluster.ok("wait", "--for=condition=Available", f"deployment/{name}", "--timeout=40s")


@pytest.fixture(scope="module")
def web(cluster: RunningCluster) -> RunningCluster:
    """An available Deployment `web` that tests may read."""
    cluster.ok("apply", "-f", "-", stdin=_app("web"))
    cluster.ok("rollout", "status", "deployment/web", "--timeout=40s")
    return cluster


def test_apply_creates_then_leaves_then_configures(cluster: RunningCluster) -> None:
    said = [cluster.ok("apply", "-f", "-", stdin=MAP % ("apply", value)) for value in "112"]
    assert said == ["configmap/apply created\n", "configmap/apply unchanged\n", "configmap/apply configured\n"]
    fields = {
        entry["manager"] for entry in cluster.get("cm", "apply", "--show-managed-fields")["metadata"]["managedFields"]
    }
    assert fields == {"kubectl-client-side-apply"}


def test_apply_takes_a_list(cluster: RunningCluster) -> None:
    items = f"{MAP % ('list-a', 1)}, {MAP % ('list-b', 1)}"
    said = cluster.ok("apply", "-f", "-", stdin='{"apiVersion": "v1", "kind": "List", "items": [%s]}' % items)  # noqa: UP031
    assert said == "configmap/list-a created\nconfigmap/list-b created\n"


def test_apply_names_an_unknown_field_and_an_unknown_kind(cluster: RunningCluster) -> None:
    done = cluster.kubectl("apply", "-f", "-", stdin=(MAP % ("u", 1)).replace('"data"', '"datas"'))
    assert done.code == 1
    assert 'strict decoding error: unknown field "datas"' in done.err
    done = cluster.kubectl("apply", "-f", "-", stdin=(MAP % ("u", 1)).replace("ConfigMap", "Foo"))
    assert done.code == 1
    assert 'no matches for kind "Foo" in version "v1"' in done.err


def test_server_side_apply_conflicts_and_takes_over(cluster: RunningCluster) -> None:
    cluster.ok("apply", "--server-side", "--field-manager=first", "-f", "-", stdin=MAP % ("ssa", 1))
    done = cluster.kubectl("apply", "--server-side", "-f", "-", stdin=MAP % ("ssa", 2))
    assert done.code == 1
    assert 'Apply failed with 1 conflict: conflict with "first": .data.a' in done.err
    forced = cluster.ok("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MAP % ("ssa", 2))
    assert forced == "configmap/ssa serverside-applied\n"


def test_server_side_apply_adopts_what_client_side_apply_made(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=MAP % ("adopt", 1))
    assert "serverside-applied" in cluster.ok("apply", "--server-side", "-f", "-", stdin=MAP % ("adopt", 2))
    entries = cluster.get("cm", "adopt", "--show-managed-fields")["metadata"]["managedFields"]
    assert [entry["operation"] for entry in entries if entry["manager"] == "kubectl"] == ["Apply"]


def test_diff_tells_by_its_exit_code(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=MAP % ("diff", 1))
    same = cluster.kubectl("diff", "-f", "-", stdin=MAP % ("diff", 1))
    assert (same.code, same.out) == (0, "")
    other = cluster.kubectl("diff", "-f", "-", stdin=MAP % ("diff", 2))
    assert other.code == 1
    assert '-  a: "1"' in other.out
    assert '+  a: "2"' in other.out


def test_get_wide_shows_nodes_and_images(web: RunningCluster) -> None:
    pods = web.ok("get", "pods", "-l", "app=web", "-o", "wide").splitlines()
    assert pods[0].split()[:9] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED", "NODE"]
    assert all("fake-node-" in line and "1/1" in line for line in pods[1:])
    assert len(pods) == 3
    assert "example.com/web:1" in web.ok("get", "deployment", "web", "-o", "wide")


def test_get_watch_shows_a_rollout(cluster: RunningCluster) -> None:
    with cluster.following([str(KUBECTL), "get", "deployment", "-w"]) as wait:
        cluster.ok("create", "deployment", "watched", "--image=x", "--replicas=2")
        text = wait(lambda seen: any(line.split()[:2] == ["watched", "2/2"] for line in seen.splitlines()))
    assert any(line.split()[:2] == ["watched", "0/2"] for line in text.splitlines())


def test_describe_tells_the_story(web: RunningCluster) -> None:
    text = web.ok("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in text
    assert "Scaled up replica set" in text
    assert "Successfully assigned default/web-" in web.ok("describe", "pods", "-l", "app=web", "--show-events")
    assert "Non-terminated Pods" in web.ok("describe", "node", "fake-node-0")


def test_scale(cluster: RunningCluster) -> None:
    cluster.ok("create", "deployment", "scaled", "--image=x")
    assert cluster.ok("scale", "deployment/scaled", "--replicas=3") == "deployment.apps/scaled scaled\n"
    until(lambda: cluster.get("deployment", "scaled")["status"].get("readyReplicas") == 3, "three replicas")
    assert cluster.kubectl("scale", "deployment/scaled", "--current-replicas=9", "--replicas=1").code == 1
    cluster.ok("scale", "deployment/scaled", "--replicas=0")
    until(lambda: cluster.get("pods", "-l", "app=scaled")["items"] == [], "no pods")


def test_rollout_status_history_undo_restart(cluster: RunningCluster) -> None:
    cluster.ok("create", "deployment", "rolled", "--image=example.com/web:1")
    assert "successfully rolled out" in cluster.ok("rollout", "status", "deployment/rolled", "--timeout=40s")
    cluster.ok("set", "image", "deployment/rolled", "web=example.com/web:2")
    assert "successfully rolled out" in cluster.ok("rollout", "status", "deployment/rolled", "--timeout=40s")
    history = cluster.ok("rollout", "history", "deployment/rolled")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    assert "example.com/web:1" in cluster.ok("rollout", "history", "deployment/rolled", "--revision=1")
    assert cluster.ok("rollout", "undo", "deployment/rolled") == "deployment.apps/rolled rolled back\n"
    cluster.ok("rollout", "status", "deployment/rolled", "--timeout=40s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert cluster.ok("get", "deployment", "rolled", "-o", image) == "example.com/web:1"
    cluster.ok("rollout", "restart", "deployment/rolled")
    cluster.ok("rollout", "status", "deployment/rolled", "--timeout=40s")
    cluster.ok("rollout", "pause", "deployment/rolled")
    cluster.ok("rollout", "resume", "deployment/rolled")


def test_delete_waits_until_dependents_may_go(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=_app("gone"))
    _available(cluster, "gone")
    said = cluster.ok("delete", "-f", "-", stdin=_app("gone"))
    assert 'deployment.apps "gone" deleted from default namespace' in said
    assert cluster.kubectl("get", "deployment", "gone").code == 1
    until(lambda: cluster.get("rs,pods", "-l", "app=gone")["items"] == [], "no dependents")


def test_delete_in_the_foreground_leaves_nothing(cluster: RunningCluster) -> None:
    cluster.ok("create", "deployment", "fore", "--image=x")
    _available(cluster, "fore")
    cluster.ok("delete", "deployment", "fore", "--cascade=foreground", "--timeout=40s")
    assert cluster.get("rs", "-l", "app=fore")["items"] == []


EXPLAIN = [
    ("deployment.spec.replicas", "FIELD: replicas <integer>"),
    ("pod.spec.containers", "FIELD: containers <[]Container>"),
    ("service.spec", "FIELD: spec <ServiceSpec>"),
    ("configmap", "KIND:       ConfigMap"),
]


@pytest.mark.parametrize(("path", "want"), EXPLAIN)
def test_explain_names_kind_and_type(cluster: RunningCluster, path: str, want: str) -> None:
    assert want in cluster.ok("explain", path)


def test_explain_recursive_walks_the_tree(cluster: RunningCluster) -> None:
    text = cluster.ok("explain", "pod.spec", "--recursive")
    assert "readinessProbe" in text
    assert "periodSeconds" in text


def test_create_the_usual_things(cluster: RunningCluster) -> None:
    assert cluster.ok("create", "namespace", "made") == "namespace/made created\n"
    assert cluster.ok("create", "configmap", "made", "--from-literal=a=b") == "configmap/made created\n"
    assert cluster.ok("create", "secret", "generic", "made", "--from-literal=a=b") == "secret/made created\n"
    assert cluster.ok("create", "serviceaccount", "made") == "serviceaccount/made created\n"
    assert cluster.ok("create", "service", "clusterip", "made", "--tcp=80") == "service/made created\n"
    assert cluster.ok("create", "deployment", "made", "--image=x", "-o", "name") == "deployment.apps/made\n"
    done = cluster.kubectl("create", "configmap", "made")
    assert (done.code, done.err) == (1, 'error: failed to create configmap: configmaps "made" already exists\n')
    until(lambda: cluster.kubectl("get", "serviceaccount", "default", "-n", "made").code == 0, "a service account")
    assert cluster.ok("delete", "namespace", "made", "--timeout=40s") == 'namespace "made" deleted\n'


def test_a_created_token_is_accepted(cluster: RunningCluster) -> None:
    token = cluster.ok("create", "token", "default").strip()
    assert token.count(".") == 2
    base = ["--server", f"https://127.0.0.1:{cluster.port}", "--token", token, "--kubeconfig", "/dev/null"]
    authority = ["--certificate-authority", str(cluster.data_dir / "pki" / "ca.crt")]
    who = cluster.kubectl("auth", "whoami", "-o", "json", *base, *authority)
    assert who.code == 0, who.err
    assert who.json["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"


def test_run_makes_a_pod(cluster: RunningCluster) -> None:
    assert cluster.ok("run", "lonely", "--image=x") == "pod/lonely created\n"
    cluster.ok("wait", "--for=condition=Ready", "pod/lonely", "--timeout=40s")
    cluster.ok("wait", "--for=jsonpath={.status.phase}=Running", "pod/lonely", "--timeout=40s")
    assert cluster.ok("delete", "pod", "lonely") == 'pod "lonely" deleted from default namespace\n'
    cluster.ok("wait", "--for=delete", "pod/lonely", "--timeout=40s")


def test_wait_that_is_in_vain_fails(cluster: RunningCluster) -> None:
    cluster.ok("create", "configmap", "waiting")
    done = cluster.kubectl("wait", "--for=jsonpath={.data.x}=1", "configmap/waiting", "--timeout=1s")
    assert done.code == 1


def test_label_and_annotate(cluster: RunningCluster) -> None:
    cluster.ok("create", "configmap", "marked")
    assert cluster.ok("label", "cm", "marked", "a=1") == "configmap/marked labeled\n"
    done = cluster.kubectl("label", "cm", "marked", "a=2")
    assert done.code == 1
    assert "--overwrite is false" in done.err
    assert cluster.ok("label", "cm", "marked", "a-") == "configmap/marked unlabeled\n"
    assert cluster.ok("annotate", "cm", "marked", "note=x y") == "configmap/marked annotated\n"
    assert cluster.get("cm", "marked")["metadata"]["annotations"] == {"note": "x y"}


PATCHES = [
    (
        "strategic",
        '{"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "b"}]}]}}}}',
    ),
    ("merge", '{"metadata": {"labels": {"merged": "yes"}}}'),
    ("json", '[{"op": "replace", "path": "/spec/minReadySeconds", "value": 1}]'),
]


def test_all_patch_types(cluster: RunningCluster) -> None:
    cluster.ok("apply", "-f", "-", stdin=_app("patched"))
    cluster.ok("patch", "deployment", "patched", "-p", '{"spec": {"minReadySeconds": 2}}')
    for kind, body in PATCHES:
        assert cluster.ok("patch", "deployment", "patched", f"--type={kind}", "-p", body).endswith(" patched\n")
    found = cluster.get("deployment", "patched")
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("example.com/web:1", [{"name": "A", "value": "b"}])
    assert found["metadata"]["labels"] == {"app": "patched", "merged": "yes"}
    assert found["spec"]["minReadySeconds"] == 1
    scaled = cluster.ok(
        "patch", "deployment", "patched", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":1}}'
    )
    assert scaled == "scale.autoscaling/patched patched\n"


def test_replace_and_its_conflict(cluster: RunningCluster) -> None:
    cluster.ok("create", "-f", "-", stdin=MAP % ("replaced", 1))
    old = cluster.ok("get", "cm", "replaced", "-o", "json")
    assert cluster.ok("replace", "-f", "-", stdin=MAP % ("replaced", 2)) == "configmap/replaced replaced\n"
    done = cluster.kubectl("replace", "-f", "-", stdin=old)
    assert done.code == 1
    assert "the object has been modified; please apply your changes to the latest version" in done.err
    assert cluster.get("cm", "replaced")["data"] == {"a": "2"}


def test_edit(cluster: RunningCluster) -> None:
    cluster.ok("create", "-f", "-", stdin=MAP % ("edited", "before"))
    said = cluster.ok("edit", "cm", "edited", KUBE_EDITOR="sed -i s/before/after/")
    assert said == "configmap/edited edited\n"
    assert cluster.get("cm", "edited")["data"] == {"a": "after"}
    untouched = cluster.kubectl("edit", "cm", "edited", KUBE_EDITOR="true")
    assert "no changes made" in untouched.out + untouched.err


@pytest.fixture
def emptied(cluster: RunningCluster) -> Iterator[str]:
    """A node that is put back in order afterwards."""
    yield "fake-node-1"
    cluster.kubectl("uncordon", "fake-node-1")


def test_cordon_drain_uncordon(web: RunningCluster, emptied: str) -> None:
    assert web.ok("cordon", emptied) == f"node/{emptied} cordoned\n"
    assert "Ready,SchedulingDisabled" in web.ok("get", "node", emptied)
    text = web.ok("drain", emptied, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=50s")
    assert f"node/{emptied} drained" in text
    pods = web.get("pods", "-A", "--field-selector", f"spec.nodeName={emptied}")["items"]
    assert [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")] == []
    _available(web, "web")
    assert web.ok("uncordon", emptied) == f"node/{emptied} uncordoned\n"


def test_taint(cluster: RunningCluster) -> None:
    assert cluster.ok("taint", "node", "fake-node-0", "a=b:PreferNoSchedule") == "node/fake-node-0 tainted\n"
    assert cluster.get("node", "fake-node-0")["spec"]["taints"] == [
        {"key": "a", "value": "b", "effect": "PreferNoSchedule"}
    ]
    assert cluster.ok("taint", "node", "fake-node-0", "a-") == "node/fake-node-0 untainted\n"


def test_auth(cluster: RunningCluster) -> None:
    assert cluster.ok("auth", "can-i", "create", "deployments.apps") == "yes\n"
    denied = cluster.kubectl(
        "auth", "can-i", "delete", "nodes", "--kubeconfig", str(cluster.data_dir / "scheduler.kubeconfig")
    )
    assert (denied.code, denied.out) == (1, "no\n")
    who = json.loads(cluster.ok("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert (who["username"], sorted(who["groups"])) == ("kubernetes-admin", ["system:authenticated", "system:masters"])


def test_the_server_tells_what_it_has(cluster: RunningCluster) -> None:
    resources = cluster.ok("api-resources", "--no-headers")
    assert "deployments                         deploy" in resources
    assert cluster.ok("api-resources", "--api-group=apps", "-o", "name").split()[:1] == ["controllerrevisions.apps"]
    assert {"v1", "apps/v1", "coordination.k8s.io/v1"} <= set(cluster.ok("api-versions").split())
    assert "Server Version: v1.36." in cluster.ok("version")
    assert json.loads(cluster.ok("get", "--raw", "/version"))["minor"] == "36"
    assert cluster.ok("get", "--raw", "/readyz") == "ok"
    assert "is running at" in cluster.ok("cluster-info")


def test_expose_autoscale_and_set(web: RunningCluster) -> None:
    assert web.ok("expose", "deployment", "web", "--port=81", "--name=exposed") == "service/exposed exposed\n"
    assert web.ok("set", "env", "deployment/web", "X=1") == "deployment.apps/web env updated\n"
    assert web.ok("set", "resources", "deployment/web", "--requests=cpu=1m") == (
        "deployment.apps/web resource requirements updated\n"
    )
    web.ok("rollout", "status", "deployment/web", "--timeout=40s")


def test_events_are_listed(web: RunningCluster) -> None:
    assert "Scheduled" in web.ok("events")
    assert "ScalingReplicaSet" in web.ok("events", "--for", "deployment/web")
    assert "ScalingReplicaSet" in web.ok("get", "events", "--field-selector", "involvedObject.kind=Deployment")
