"""What the API refuses of volumes before any node sees them; each refusal beside a twin that is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.api.kinds import builtin_registry

Obj = dict[str, Any]


def errors(kind: str, obj: Obj) -> list[str]:
    group, version, name = ("", "v1", kind) if "/" not in kind else tuple(kind.split("/"))
    info = builtin_registry().by_kind(group, version, name)
    assert info is not None
    return [str(one) for one in info.validate(obj)]


def pod(volume: Obj, **mount: Any) -> Obj:
    container = {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"name": "v", "mountPath": "/m", **mount}],
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "volumes": [{"name": "v", **volume}],
    }
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}


def projected(*paths: str) -> Obj:
    tokens = [{"serviceAccountToken": {"path": path, "expirationSeconds": 3600}} for path in paths]
    return {"projected": {"sources": tokens, "defaultMode": 420}}


EMPTY: Obj = {"emptyDir": {}}


@pytest.mark.parametrize("path", ["..", "/etc", "a/../..", "a/../../b"])
@pytest.mark.parametrize("field", ["subPath", "subPathExpr"])
def test_a_sub_path_stays_below_its_volume(field: str, path: str) -> None:
    assert errors("Pod", pod(EMPTY, **{field: path}))
    assert not errors("Pod", pod(EMPTY, **{field: "a/b..c"}))


@pytest.mark.parametrize("key", ["../x", "..data", "a/b", "k" * 254, "", ".", ".."])
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_keys_become_plain_file_names(kind: str, key: str) -> None:
    made: Obj = {"metadata": {"name": "x", "namespace": "default"}, "data": {key: "eA=="}}
    assert errors(kind, made)
    assert not errors(kind, {**made, "data": {"k" * 253: "eA=="}})


def test_a_repository_is_not_cloned_by_a_node() -> None:
    assert errors("Pod", pod({"gitRepo": {"repository": "ssh://host/repository"}}))
    assert not errors("Pod", pod(EMPTY))


@pytest.mark.parametrize("paths", [("../../x",), ("/x",), ("..data",), ("x", "x"), ("a/../../x",)])
def test_projected_files_stay_in_their_volume_and_apart(paths: tuple[str, ...]) -> None:
    assert errors("Pod", pod(projected(*paths)))
    assert not errors("Pod", pod(projected("a/x", "y")))


@pytest.mark.parametrize("path", ["/a/../etc", "..", "/srv/.."])
@pytest.mark.parametrize("source", ["hostPath", "local"])
def test_a_path_of_a_volume_does_not_climb(source: str, path: str) -> None:
    terms = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
    spec: Obj = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
        "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
    }
    made = {"metadata": {"name": "v"}, "spec": {**spec, source: {"path": path}}}
    assert errors("PersistentVolume", made)
    assert not errors("PersistentVolume", {**made, "spec": {**spec, source: {"path": "/srv/a..b"}}})
