"""Bodies that cost more to read than to write.

Each is refused with a 4xx in a fraction of a second; beside each stands the harmless body it differs from, which is
taken.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.apiserver.hostile.target import CONFIGMAPS, MIB, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"
YAML = "application/yaml"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
QUICK_SECONDS = 0.1  # of the server's processor time
SLOW_SECONDS = 0.8  # for a megabyte of YAML; the machine of CI is shared
MEMORY_BYTES = 16 * MIB


def config_map(name: str, **data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **resources: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": resources}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}


HEAD = "metadata: {generateName: y-}\n"
LEVELS = [f"{name}: &{name} [{','.join(['*' + chr(ord(name) - 1)] * 9)}]" for name in "bcdefghij"]
BOMB = HEAD + "a: &a [" + ",".join("x" * 9) + "]\n" + "\n".join(LEVELS)
BAD_YAML = {
    "a bomb of aliases": BOMB,
    "20,000 brackets": "[" * 20_000,
    "20,000 braces with keys": "{a: " * 20_000,
    "20,000 dashes": "- " * 20_000,
    "20,000 question marks": "? " * 20_000,
    "indentation without end": "".join(" " * depth + "a:\n" for depth in range(1500)),
    "an alias to itself": HEAD + "data: &a {b: *a}",
    "a list that holds itself": "&a [*a]",
    "an unknown alias": HEAD + "data: *a",
    "a Python object": HEAD + "data: !!python/object/apply:os.system [id]",
    "a Python name": HEAD + "data: !!python/name:os.system x",
    "a tag of its own": HEAD + "data: !mine {}",
    "binary": HEAD + "data: {a: !!binary aGk=}",
    "a list as a key": HEAD + "data: {[a]: b}",
    "not a number": HEAD + "data: {a: .nan}",
    "bytes that are no text": "\ufffe\udcff",
    "only lines": "\n" * 3_000_000,
    "only comments": "#\r" * 1_500_000,
    "a list of a million": "- a\n" * 750_000,
    "a flow list of a million": "[" + "a," * 1_500_000 + "]",
    "a map of many keys": "".join(f"k{number}: v\n" for number in range(100_000)),
    "many documents": "---\n" * 700_000,
    "many empty objects": "{}" * 1_500_000,
    "many directives": "%a\r" * 1_000_000,
    "escapes": HEAD + 'data: {a: "' + "\\a" * 1_400_000 + '"}',
    "a hexadecimal number beyond floats": HEAD + "data: {a: 0x" + "f" * 300 + ", b: {}}",
}


@pytest.mark.parametrize("name", BAD_YAML)
async def test_hostile_yaml_is_refused_cheaply(target: Target, name: str) -> None:
    before = target.memory_bytes()
    target.forget_peak()
    body = BAD_YAML[name].encode("utf-8", "surrogateescape")
    answer, seconds = await target.timed("POST", CONFIGMAPS, body, content_type=YAML)
    assert 400 <= answer.status < 500 and answer.json["kind"] == "Status", answer.body[:300]
    large = len(body) > 100_000
    assert seconds <= (SLOW_SECONDS if large else QUICK_SECONDS)
    assert target.peak_bytes() - before <= (MEMORY_BYTES + 12 * len(body) if large else MEMORY_BYTES)


@pytest.mark.parametrize("name", ["a bomb of aliases", "20,000 brackets", "a Python object", "a map of many keys"])
async def test_hostile_yaml_is_refused_by_apply_as_well(target: Target, name: str) -> None:
    path = f"{CONFIGMAPS}/y?fieldManager=a"
    answer, seconds = await target.timed("PATCH", path, BAD_YAML[name].encode(), content_type=APPLY)
    assert 400 <= answer.status < 500 and seconds <= SLOW_SECONDS


async def test_ordinary_yaml_is_taken(target: Target) -> None:
    """The controls: aliases, nesting, a large ConfigMap, a CustomResourceDefinition's worth of lines."""
    few = "metadata: {generateName: y-}\ndata: {a: &a x, b: *a}\n"
    made = await target.request("POST", CONFIGMAPS, few.encode(), content_type=YAML)
    assert made.status == 201 and made.json["data"] == {"a": "x", "b": "x"}
    lines = "".join(f"    line {number} of a file that somebody keeps in a ConfigMap\n" for number in range(13_000))
    large = f"metadata: {{generateName: y-}}\ndata:\n  file: |\n{lines}"
    assert len(large) > 700_000
    assert (await target.request("POST", CONFIGMAPS, large.encode(), content_type=YAML)).status == 201
    keys = "metadata: {generateName: y-}\ndata:\n" + "".join(f"  key{number}: value\n" for number in range(10_000))
    assert (await target.request("POST", CONFIGMAPS, keys.encode(), content_type=YAML)).status == 201


async def test_repeated_keys_are_refused_where_strictness_is_asked_for(target: Target) -> None:
    for content_type, body in (
        (YAML, b"metadata: {generateName: y-}\ndata: {a: b}\ndata: {a: c}\n"),
        ("application/json", b'{"metadata":{"generateName":"j-"},"data":{"a":"x"},"data":{"a":"y"}}'),
    ):
        strict = await target.request("POST", CONFIGMAPS + "?fieldValidation=Strict", body, content_type=content_type)
        assert strict.status == 400 and "strict decoding error" in strict.json["message"]
        warned = await target.request("POST", CONFIGMAPS, body, content_type=content_type)
        assert warned.status == 201 and "data" in warned.headers["Warning"], "control: a warning otherwise"


DATA = b'{"metadata":{"generateName":"j-"},"data":'
PRIORITY = "/apis/scheduling.k8s.io/v1/priorityclasses"
BAD_JSON = {
    "100,000 brackets": (CONFIGMAPS, b"[" * 100_000),
    "100,000 objects": (CONFIGMAPS, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "300 objects in a field": (CONFIGMAPS, DATA + b'{"a":' * 300 + b'"x"' + b"}" * 301),
    "not a number": (PRIORITY, b'{"metadata":{"generateName":"j-"},"value":NaN}'),
    "infinity": (PRIORITY, b'{"metadata":{"generateName":"j-"},"value":Infinity}'),
    "beyond floats": (PRIORITY, b'{"metadata":{"generateName":"j-"},"value":1e999}'),
    "5,000 digits": (PRIORITY, b'{"metadata":{"generateName":"j-"},"value":' + b"9" * 5000 + b"}"),
    "a fraction for an integer": (PRIORITY, b'{"metadata":{"generateName":"j-"},"value":1.5}'),
    "half a surrogate pair": (CONFIGMAPS, DATA + b'{"a":"\\ud800"}}'),
    "bytes that are no text": (CONFIGMAPS, DATA + b'{"a":"\xff\xfe"}}'),
    "a null byte in a name": (CONFIGMAPS, b'{"metadata":{"name":"a\\u0000b"}}'),
    "text after the object": (CONFIGMAPS, DATA + b'{"a":"b"}} x'),
    "half of an object": (CONFIGMAPS, DATA),
    "nothing": (CONFIGMAPS, b""),
    "90,000 keys in an unknown field": (
        CONFIGMAPS + "?fieldValidation=Strict",
        b'{"metadata":{"generateName":"j-"},"x":{' + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}}",
    ),
    "90,000 unknown fields": (
        CONFIGMAPS + "?fieldValidation=Strict",
        b'{"metadata":{"generateName":"j-"},' + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}",
    ),
}


@pytest.mark.parametrize("name", BAD_JSON)
async def test_hostile_json_is_refused_cheaply(target: Target, name: str) -> None:
    before = target.memory_bytes()
    path, body = BAD_JSON[name]
    answer, seconds = await target.timed("POST", path, body)
    assert answer.status in (400, 422) and answer.json["kind"] == "Status", answer.body[:300]
    assert seconds <= (SLOW_SECONDS if len(body) > 1_000_000 else 0.25)
    assert target.memory_bytes() - before < MEMORY_BYTES + 30 * len(body)
    assert len(answer.body) < 64 * 1024, "a refusal is not larger than it need be"


async def test_90_000_unknown_fields_do_not_become_90_000_warnings(target: Target) -> None:
    body = b'{"metadata":{"generateName":"j-"},' + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}"
    answer, seconds = await target.timed("POST", CONFIGMAPS, body)
    assert answer.status == 201 and len(answer.headers["Warning"]) < 8192
    assert seconds <= SLOW_SECONDS


async def test_ordinary_json_is_taken(target: Target) -> None:
    assert (await target.request("POST", PRIORITY, {"metadata": {"generateName": "j-"}, "value": 5})).status == 201
    text = "\u00e9\U0001f980 \\ud83d\\ude00"
    made = await target.must("POST", CONFIGMAPS, DATA + ('{"a":"' + text + '"}}').encode())
    assert made["data"]["a"] == "\u00e9\U0001f980 \U0001f600"


async def test_a_patch_of_too_many_operations_is_refused(target: Target) -> None:
    await target.must("POST", CONFIGMAPS, config_map("operations", a="1"))
    path = f"{CONFIGMAPS}/operations"
    one = {"op": "test", "path": "/data/a", "value": "1"}
    enough, _ = await target.timed("PATCH", path, [one] * 10_000, content_type=JSON_PATCH)
    assert enough.status == 200, "control: 10,000 are allowed"
    many, seconds = await target.timed("PATCH", path, [one] * 10_001, content_type=JSON_PATCH)
    assert many.status == 413 and seconds < 0.3


async def test_copies_that_double_an_object_are_refused(target: Target) -> None:
    await target.must("POST", CONFIGMAPS, config_map("copies", a="1"))
    path = f"{CONFIGMAPS}/copies"
    small = [{"op": "copy", "from": "/data/a", "path": "/data/b"}]
    assert (await target.request("PATCH", path, small, content_type=JSON_PATCH)).status == 200, "control: one copy"
    start = {"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 1000}}
    doubling = [
        {"op": "copy", "from": "/metadata/annotations", "path": f"/metadata/annotations/{n}"} for n in range(40)
    ]
    before = target.memory_bytes()
    answer, seconds = await target.timed("PATCH", path, [start, *doubling], content_type=JSON_PATCH)
    assert answer.status in (413, 422) and seconds < 0.3
    assert target.memory_bytes() - before < MEMORY_BYTES


async def test_ten_thousand_insertions_at_the_front_stay_cheap(target: Target) -> None:
    await target.must("POST", CONFIGMAPS, {**config_map("front", a="1"), "metadata": {"name": "front"}})
    insert = {"op": "add", "path": "/metadata/finalizers/0", "value": "example.com/a"}
    patch = [{"op": "add", "path": "/metadata/finalizers", "value": []}, *[insert] * 9_999]
    answer, seconds = await target.timed("PATCH", f"{CONFIGMAPS}/front", patch, content_type=JSON_PATCH)
    assert answer.status < 500 and seconds < SLOW_SECONDS


@pytest.mark.parametrize(
    "quantity",
    ["1e999999", "1e99999", "9" * 1_000_000, "1E400Ki", "1e-999999", "0." + "0" * 500_000 + "1", "-" * 100_000],
)
async def test_a_quantity_that_would_be_a_large_number_is_refused(target: Target, quantity: str) -> None:
    answer, seconds = await target.timed("POST", PODS, pod("q", requests={"cpu": quantity}))
    assert answer.status in (400, 422) and seconds <= 0.15
    for good in ("1e3", "100m", "1Gi"):
        body = {**pod("q", requests={"memory": good}), "metadata": {"generateName": "q-"}}
        assert (await target.request("POST", PODS + "?dryRun=All", body)).status == 201, "control"


@pytest.mark.parametrize("duration", ["9" * 1000 + "h", "1s" * 4000, "1e999s", "-1s", "\u0663s", "1", "h", "1h1"])
async def test_a_duration_that_means_nothing_is_refused(target: Target, duration: str) -> None:
    answer, seconds = await target.timed("GET", f"{CONFIGMAPS}?limit=1&timeout={quote(duration)}")
    assert answer.status == 400 and seconds <= QUICK_SECONDS
    assert (await target.request("GET", f"{CONFIGMAPS}?limit=1&timeout=3s")).status == 200, "control"


async def test_hostile_patches_on_a_wide_object_stay_cheap(target: Target) -> None:
    """Strategic merge and apply of a thousand elements that all have the same key, or none."""
    await target.must("POST", PODS, pod("wide"))
    containers = [{"name": f"c{n}", "image": "i"} for n in range(5000)]
    strategic = {"spec": {"containers": containers, "$setElementOrder/containers": [{"name": "c"}, *containers]}}
    kind = "application/strategic-merge-patch+json"
    answer, seconds = await target.timed("PATCH", f"{PODS}/wide", strategic, content_type=kind)
    assert 400 <= answer.status < 500 and seconds <= 3, (answer.status, seconds)
    applied = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wide"}, "spec": {"containers": containers}}
    path = f"{PODS}/wide?fieldManager=a&force=true"
    answer, seconds = await target.timed("PATCH", path, json.dumps(applied).encode(), content_type=APPLY)
    assert 400 <= answer.status < 500 and seconds <= 3, (answer.status, seconds)
