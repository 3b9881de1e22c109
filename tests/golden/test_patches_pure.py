"""Patch and apply transcripts of a real v1.36 server, replayed through the pure functions alone.

Each step starts from the object the recorded server held, so one wrong step does not spoil the next.  What only a
server does (validation, resourceVersion, deletion) is left to the replay through the API server.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.api.apply import server_side_apply, update_managed_fields
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.patch_json import json_patch
from tiphys.api.patch_merge import merge_patch
from tiphys.api.patch_strategic import strategic_merge
from tiphys.api.status import StatusError

RECORDS = [json.loads(line) for line in (Path(__file__).parent.parent / "data/golden/patches.jsonl").open()]
SERVER_ONLY = {
    "apply-no-manager", "apply-rv-conflict", "patch-unsupported-type", "patch-immutable-selector",
    "immutable-configmap", "delete-precondition-uid", "create-exists",
}  # fmt: skip
KINDS = {"configmaps": ("", "v1", "ConfigMap"), "deployments": ("apps", "v1", "Deployment")}
Object = dict[str, Any]


def _kind(path: str) -> KindInfo:
    plural = next(part for part in path.split("/") if part in KINDS)
    info = builtin_registry().by_kind(*KINDS[plural])
    assert info is not None
    return info


def _finish(obj: Object, info: KindInfo) -> Object:
    value = decode(obj, info.schema, kind_label=info.kind).value
    apply_defaults(value, info.schema)
    return value


def _step(step: Object, live: Object | None, now: str) -> Object:
    info = _kind(step["path"])
    common: Object = {"manager": step["manager"], "api_version": info.api_version, "now": now}
    body = copy.deepcopy(step["body"])
    if step["type"] == "application/apply-patch+yaml":
        return _finish(server_side_apply(live, body, info.schema, force=False, **common), info)
    if step["path"].endswith("/scale"):
        new = copy.deepcopy(live) or {}
        new["spec"]["replicas"] = body["spec.replicas"]
        return update_managed_fields(live, new, info.schema, subresource="scale", **common)
    if step["type"] == "application/json-patch+json":
        new = json_patch(live, body)
    elif step["type"] == "application/merge-patch+json":
        new = merge_patch(live, body)
    elif step["type"] == "application/strategic-merge-patch+json":
        new = strategic_merge(live or {}, body, info.schema)
    else:
        new = body
        if live:
            new["metadata"] = {**live["metadata"], **body["metadata"]}
            new["metadata"].pop("managedFields", None)
    given = (new.get("metadata") or {}).get("managedFields")
    finished = _finish(new, info)
    if given is not None:
        finished["metadata"]["managedFields"] = given
    return update_managed_fields(live, finished, info.schema, **common)


def _time(index: int) -> str:
    return f"2026-01-01T00:00:{index:02d}Z"


def _as_live(response: Object, index: int) -> Object:
    """A recorded answer with real times in place of the recorder's marks."""
    live = copy.deepcopy(response)
    for entry in live["metadata"].get("managedFields", []):
        if "time" in entry:
            entry["time"] = _time(index)
    return live


def _with_controller(live: Object, response: Object, index: int) -> Object:
    """What the recorded server's own controller wrote between two steps."""
    theirs = response.get("metadata", {})
    revision = theirs.get("annotations", {}).get("deployment.kubernetes.io/revision")
    if not revision or "annotations" in live["metadata"]:
        return live
    new = copy.deepcopy(live)
    new["metadata"]["annotations"] = theirs["annotations"]
    new["status"] = response["status"]
    info = _kind("deployments")
    return update_managed_fields(
        live, new, info.schema, manager="kube-controller-manager", api_version="apps/v1",
        subresource="status", now=_time(index),
    )  # fmt: skip


def _comparable(obj: Object) -> Object:
    """Without what the server fills in; managedFields by manager, times only as there or not."""
    out = copy.deepcopy(obj)
    metadata = out["metadata"]
    for name in ("namespace", "uid", "resourceVersion", "creationTimestamp", "generation"):
        metadata.pop(name, None)
    entries = metadata.pop("managedFields", [])
    for entry in entries:
        if "time" in entry:
            entry["time"] = True
    out["managed"] = sorted(entries, key=lambda entry: (entry["operation"], entry["manager"]))
    return out


@pytest.mark.parametrize("record", [r for r in RECORDS if r["name"] not in SERVER_ONLY], ids=lambda r: r["name"])
def test_transcript_replays_equal(record: Object) -> None:
    live: Object | None = None
    for index, step in enumerate(record["steps"], start=1):
        expected = step["response"]
        if live is not None and step["code"] < 300:
            live = _with_controller(live, expected, index)
        if step["code"] == 422 and expected["details"].get("causes"):
            continue  # validation: the patch itself applies
        if step["code"] >= 400:
            with pytest.raises(StatusError) as refused:
                _step(step, live, _time(index))
            assert refused.value.to_dict() == expected
            continue
        result = _step(step, live, _time(index))
        if step["path"].endswith("/scale"):
            live = result
            continue
        assert _comparable(result) == _comparable(expected)
        live = _as_live(expected, index)
