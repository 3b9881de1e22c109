"""Every recorded refusal of a real server comes out equal, cause by cause; every recorded object passes."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.api.good_objects import GOOD, prepared
from tests.api.test_defaults import info_for
from tiphys.api.status import invalid_object

DATA = Path(__file__).parent.parent / "data"
_ELSEWHERE = ("pod-bad-label", "svc-bad-clusterip", "svc-clusterip-outside")  # the API server's metadata and addresses


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "golden" / f"{name}.jsonl").open()]


def about(record: dict[str, Any]) -> Any:
    return info_for(record["path"].split("?")[0])


RECORDS = [record for record in records("errors") + records("defaults") if about(record)]
REFUSED = [record for record in RECORDS if record["code"] == 422 and record["name"] not in _ELSEWHERE]
ACCEPTED = [record for record in RECORDS if record["code"] == 201]


def whole(record: dict[str, Any]) -> dict[str, Any]:
    info, obj = about(record), deepcopy(record["input"])
    if info.namespaced:
        obj["metadata"]["namespace"] = "default"  # from the URL
    return {"apiVersion": info.api_version, "kind": info.kind, **obj}


@pytest.mark.parametrize("record", REFUSED, ids=lambda record: str(record["name"]))
def test_a_refusal_says_what_a_real_server_said(record: dict[str, Any]) -> None:
    info, obj = prepared(whole(record))
    name = record["input"]["metadata"].get("name", "")
    assert invalid_object(info.group, info.kind, name, info.validate(obj)).to_dict() == record["output"]


@pytest.mark.parametrize("record", ACCEPTED, ids=lambda record: str(record["name"]))
def test_an_object_a_real_server_took_passes(record: dict[str, Any]) -> None:
    info, obj = prepared(whole(record))
    assert info.validate(obj) == []


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_good_object_passes_and_may_be_written_again(kind: str) -> None:
    info, obj = prepared(GOOD[kind])
    assert info.validate(obj) == []
    assert info.validate_update(deepcopy(obj), obj) == []
    assert info.validate_status_update(deepcopy(obj), obj) == []


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_an_empty_object_gets_errors_and_not_an_exception(kind: str) -> None:
    info, obj = prepared({"apiVersion": GOOD[kind]["apiVersion"], "kind": kind, "metadata": {"name": "g"}})
    assert all(error.field for error in info.validate(obj))
    info.validate_update(deepcopy(obj), obj)
    info.validate_status_update(deepcopy(obj), obj)
