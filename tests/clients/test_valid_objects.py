"""kubernetes-validate, strict, accepts everything that the server returns: published schemas are the judge.

Every kind has an example among the test data; each is created, patched, read and deleted at once, so that a webhook or
a quota of an example harms nobody.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate import utils

from tests.cli.running import RunningCluster
from tests.cli.waiting import until
from tests.clients import sails
from tests.clients.calls import MERGE, Api, Object
from tests.clients.examples import EXAMPLES, QUESTIONS, WORKLOADS, collection_path
from tiphys.api.kinds import KindInfo, builtin_registry

SCHEMAS = "1.36"
REGISTRY = builtin_registry()
KINDS = [info for info in REGISTRY.all() if info.verbs]
LABEL = {"metadata": {"labels": {"patched": "yes"}}}
UNANSWERABLE = {"Binding": "has no object to return: the answer is a Status"}


def kind_id(info: KindInfo) -> str:
    return f"{info.api_version}/{info.kind}"


@pytest.fixture(scope="module")
def api(cluster: RunningCluster) -> Iterator[Api]:
    cluster.ok("create", "namespace", "valid")
    yield Api(cluster)
    cluster.ok("delete", "namespace", "valid", "--timeout=50s")


def validate(obj: Object) -> None:
    kubernetes_validate.validate(obj, SCHEMAS, strict=True)


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once() -> Iterator[None]:
    """The validator reads megabytes of definitions per object; and it has Status and its like under their package."""
    read_file = utils.schema_contents

    @functools.cache
    def read(filename: str, version: str) -> Any:
        try:
            return read_file(filename, version)
        except FileNotFoundError:
            return read_file(filename.replace("-v1.json", "-meta-v1.json"), version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", read)
        yield


@pytest.mark.parametrize("info", [info for info in KINDS if "create" in info.verbs], ids=kind_id)
def test_an_example_of_every_kind_comes_back_valid(api: Api, info: KindInfo) -> None:
    if info.kind in UNANSWERABLE:
        return
    if info.kind in QUESTIONS:
        answer = api.call("POST", collection_path(info, "valid"), QUESTIONS[info.kind])
        assert answer["kind"] == info.kind, answer
        validate(answer)
        return
    for example in EXAMPLES[info.api_version, info.kind]:
        made = api.call("POST", collection_path(info, example["metadata"].get("namespace", "")), example)
        assert made["kind"] == info.kind, made
        path = f"{collection_path(info, example['metadata'].get('namespace', ''))}/{made['metadata']['name']}"
        patched = api.call("PATCH", path, LABEL, **MERGE)
        assert patched["metadata"]["labels"]["patched"] == "yes", patched
        for obj in (made, patched, api.call("GET", path), api.call("DELETE", path)):
            validate(obj)
        until(lambda path=path: api.call("GET", path)["kind"] == "Status", "the end of it")  # the next has its name


def test_what_the_controllers_make_of_them_is_valid(cluster: RunningCluster, api: Api) -> None:
    sails.install(cluster)
    cluster.ok("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, WORKLOADS)))
    for kind in ("deployment", "statefulset", "daemonset"):
        cluster.ok("rollout", "status", f"{kind}/busy", "-n", "valid", "--timeout=40s")
    cluster.ok("wait", "--for=condition=Complete", "job/busy", "-n", "valid", "--timeout=40s")
    until(lambda: cluster.get("endpointslices", "-n", "valid")["items"], "an EndpointSlice")
    listable = [info for info in KINDS if "list" in info.verbs]
    counts = {}
    for info in listable:
        found = api.call("GET", collection_path(info, ""))
        assert found["kind"] == info.list_kind, found
        counts[info.kind] = len(found["items"])
        validate(found)
    busy = {kind for kind, count in counts.items() if count}
    assert {"Pod", "Node", "Lease", "Event", "ControllerRevision", "EndpointSlice", "CustomResourceDefinition"} <= busy


SUBRESOURCES = [
    "/apis/apps/v1/namespaces/valid/deployments/busy/status",
    "/apis/apps/v1/namespaces/valid/deployments/busy/scale",
    "/apis/apps/v1/namespaces/valid/deployments/missing",
    "/api/v1/nodes/fake-node-0/status",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/apps",
    "/apis/apps/v1",
]


def test_subresources_discovery_and_refusals_are_valid(cluster: RunningCluster, api: Api) -> None:
    cluster.ok("apply", "-f", "-", stdin=json.dumps(WORKLOADS[0]))
    for path in SUBRESOURCES:
        validate({"apiVersion": "v1", **api.call("GET", path)})  # APIVersions has no version on the wire


def test_an_invalid_object_would_be_noticed() -> None:
    """The control of all of the above."""
    with pytest.raises(kubernetes_validate.ValidationError):
        validate({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "datas": {}})
    with pytest.raises(kubernetes_validate.ValidationError):
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}})
