"""Manifests of static pods: what is a pod, what is left out, and what becomes of a change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nodeagent.pods.mirrors import StaticPods, mirror_of
from nodeagent.pods.staticpods import BadManifest, ManifestDirectory, read_directory, static_pod
from tests.machine import Object
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.clock import SystemClock

WEB = b"apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: c, image: 'app:1'}]\n"


def test_a_manifest_becomes_a_pod_of_this_node() -> None:
    pod = static_pod(WEB, "node-1")
    meta = pod.metadata
    assert (meta.name, meta.namespace) == ("web-node-1", "default")
    assert meta.annotations["kubernetes.io/config.source"] == "file"
    assert meta.annotations["kubernetes.io/config.hash"] == meta.uid and len(meta.uid) == 32
    assert pod.spec.nodeName == "node-1" and pod.spec.containers[0].imagePullPolicy == "IfNotPresent"
    assert [(t.operator, t.effect) for t in pod.spec.tolerations] == [("Exists", "NoExecute")]
    assert static_pod(WEB, "node-1") == pod  # the same content is the same pod
    assert static_pod(WEB + b" ", "node-1").metadata.uid != meta.uid
    assert static_pod(WEB, "other").metadata.uid != meta.uid


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"kind: [", "line 1"),
        (b"", "exactly one object"),
        (WEB + b"---\n" + WEB, "exactly one object"),
        (WEB.replace(b"Pod", b"Deployment"), "not a v1 Pod"),
        (WEB.replace(b"image: 'app:1'", b"image: ''"), "Required value"),
        (WEB.replace(b"containers: [", b"containers: 5 #"), ""),
        (WEB + b"  serviceAccountName: me\n", "may not refer to a service account"),
        (WEB + b"  volumes: [{name: v, secret: {secretName: s}}]\n", "may not refer to a secret"),
        (WEB.replace(b"'app:1'", b"x, envFrom: [{secretRef: {name: s}}]"), "may not refer to ConfigMaps or Secrets"),
    ],
)
def test_what_is_no_static_pod_is_refused_with_a_reason(text: bytes, why: str) -> None:
    with pytest.raises(BadManifest) as failed:
        static_pod(text, "n1")
    assert why.lower() in str(failed.value).lower()


def test_a_bad_file_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    files = {"a.yaml": WEB, "b.json": b"{", ".hidden.yaml": WEB, "note.txt": WEB, "c.yml": WEB.replace(b"web", b"two")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "z.yaml").write_bytes(WEB + b" ")  # of the same name as a.yaml
    (tmp_path / "directory.yaml").mkdir()
    assert [pod.metadata.name for pod in read_directory(tmp_path, "n1")] == ["web-n1", "two-n1"]
    assert read_directory(tmp_path / "missing", "n1") == []


async def test_a_change_of_the_directory_is_noticed(tmp_path: Path) -> None:
    seen: asyncio.Queue[list[str]] = asyncio.Queue()
    watched = ManifestDirectory(
        tmp_path / "made", "n1", lambda pods: seen.put_nowait([pod.metadata.name for pod in pods])
    )
    watched.open()
    try:
        assert await asyncio.wait_for(seen.get(), 10) == []
        (tmp_path / "made" / "web.yaml").write_bytes(WEB)
        assert await asyncio.wait_for(seen.get(), 10) == ["web-n1"]
        (tmp_path / "new").write_bytes(WEB.replace(b"web", b"two"))
        (tmp_path / "new").rename(tmp_path / "made" / "web.yaml")
        assert await asyncio.wait_for(seen.get(), 10) == ["two-n1"]
        (tmp_path / "made" / "web.yaml").unlink()
        assert await asyncio.wait_for(seen.get(), 10) == []
    finally:
        watched.close()


def mirror(pod: Pod, **metadata: Object | str) -> Pod:
    node = Node.model_validate({"metadata": {"name": "n1", "uid": "node-uid"}})
    made = mirror_of(pod, node)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"uid": "mirror", **metadata})})


def test_a_new_content_waits_for_the_end_of_the_old() -> None:
    woken: list[str] = []
    static = StaticPods(None, SystemClock(), lambda: None, woken.append)  # type: ignore[arg-type] # no call is made
    old, new = static_pod(WEB, "n1"), static_pod(WEB + b" ", "n1")
    static.changed([old])
    assert [pod.metadata.uid for pod in static.all()] == [old.metadata.uid] == woken
    static.changed([old])
    assert woken == [old.metadata.uid]  # nothing new
    static.changed([new])
    (going,) = static.all()
    assert going.metadata.uid == old.metadata.uid and going.metadata.deletionGracePeriodSeconds == 30
    static.changed([old])  # changed back: it goes and comes again
    (still,) = static.all()
    assert still.metadata.deletionTimestamp
    static.mirror_changed(None, mirror(old))
    assert static.mirror(old) is not None and static.mirror(new) is None
    assert static.orphans() == []
    other = static_pod(WEB.replace(b"web", b"gone"), "n1")
    static.mirror_changed(None, mirror(other))
    assert [one.metadata.name for one in static.orphans()] == ["gone-n1"]
