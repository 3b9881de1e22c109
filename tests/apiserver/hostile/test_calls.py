"""Every path and method of the published OpenAPI, called with bodies and queries that are right, wrong and odd.

Two callers.  Ours makes bodies from the kinds' schemas and bends them; it is fast enough to come by every operation
many times.  schemathesis reads the OpenAPI documents as any outsider would and makes what they promise; it is slow (a
few operations a second), so each run takes another sample.  No call may be answered with a 5xx, and every refusal is a
Status.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from apiserver.verbs.patch import PATCH_TYPES
from tests.apiserver.hostile.target import Target
from tests.fuzz.fuzzing import SECONDS, SEED, VALUES, mutated_bytes, mutated_value
from tests.fuzz.generating import KINDS, REGISTRY, an_object
from tests.fuzz.test_fuzz_patch import DIRECTIVE_VALUES, DIRECTIVES
from tiphys.api.kinds import KindInfo

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
NAMES = ("a", "a", "a", "b", "kubernetes", "default", "x" * 300, "é", "A_b", "-")
ODD = (
    "",
    "0",
    "-1",
    "true",
    "false",
    "x",
    "9" * 25,
    "²",
    "é",
    "\x00",
    "All",
    "Strict",
    "a=b",
    "metadata.name=a",
    "1s",
    "a" * 200,
)
ENDLESS = {"watch", "follow"}
# Upstream answers 500 as well.
BACKEND_TEXTS = ("no preferred addresses found", "error dialing backend", "dial tcp", "failed calling webhook")
MEDIA_TYPES = (*["application/json"] * 6, "application/yaml", "application/vnd.kubernetes.protobuf", "x/y")
CALLERS = 8
RUN_SECONDS = max(12.0, SECONDS)
SLOW_SECONDS = 2.0  # of the clock, for one call while seven others are under way: a reason to look at it alone
LIMIT_SECONDS = 0.5  # of the server's processor, for the same call alone, best of three
Operation = tuple[str, str, list[str]]  # method, path template, query parameters


async def documents(target: Target) -> dict[str, dict[str, Any]]:
    index = await target.must("GET", "/openapi/v3")
    return {path: await target.must("GET", entry["serverRelativeURL"]) for path, entry in index["paths"].items()}


def operations(found: dict[str, dict[str, Any]]) -> list[Operation]:
    calls: list[Operation] = []
    for document in found.values():
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item or method in ("head", "options"):
                    parameters = [*item.get("parameters", []), *item.get(method, {}).get("parameters", [])]
                    names = [
                        one["name"] for one in parameters if one.get("in") == "query" and one["name"] not in ENDLESS
                    ]
                    calls.append((method, path, names))
    return calls


def filled(template: str, source: random.Random) -> str:
    def value(match: re.Match[str]) -> str:
        name = "default" if match[1] == "namespace" and source.random() < 0.9 else source.choice(NAMES)
        return quote(name, safe="")

    return re.sub(r"\{(\w+)\}", value, template)


def kind_of(path: str) -> KindInfo | None:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else ("", "", [])
    if parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return REGISTRY.get(group, version, rest[0]) if rest else None


BEND_PATCH = mutated_value([{"metadata": {"labels": {"a": "b"}}, "spec": {}}], DIRECTIVE_VALUES, DIRECTIVES)
BEND_BYTES = mutated_bytes([b'{"metadata":{"name":"a"}}', b"metadata: {name: a}\n", b"k8s\x00\x0a\x04\x0a\x02v1"])


def body_of(path: str, method: str, source: random.Random) -> tuple[bytes, str]:
    info = kind_of(path) or source.choice(KINDS)
    chance = source.random()
    obj: Any = an_object(info, source) if chance < 0.7 else mutated_value([an_object(info, source)])(source)
    if method == "patch":
        media_type = source.choice(PATCH_TYPES)
        if media_type.startswith("application/json-patch"):
            obj = [{"op": source.choice(("add", "replace", "remove", "copy", "test")),
            "path": source.choice(("/spec", "/a", "")),
                    "from": "/metadata", "value": source.choice(VALUES)}]  # fmt: skip
        elif chance < 0.4:
            obj = BEND_PATCH(source)
    else:
        media_type = source.choice(MEDIA_TYPES)
    if chance > 0.95:
        return BEND_BYTES(source), media_type
    return json.dumps(obj).encode(), media_type


def refusal_is_sound(status: int, body: bytes, method: str) -> str:
    """What is wrong with an answer; "" for nothing."""
    if status < 400 or method.lower() == "head":
        return ""
    try:
        answer = json.loads(body)
    except ValueError:
        return f"{status} without JSON: {body[:300]!r}"
    if answer.get("kind") != "Status" or answer.get("code") != status or answer.get("status") != "Failure":
        return f"{status} without a proper Status: {body[:300]!r}"
    # A 500 without a reason is upstream's own answer to a malformed patch or apply, in its words.
    upstream = not answer.get("reason") or any(text in answer["message"] for text in BACKEND_TEXTS)
    if status >= 500 and not upstream and status not in (501, 503, 504):
        return f"{status}: {body[:500]!r}"
    return ""


async def test_every_operation_with_bodies_of_our_own(target: Target) -> None:
    calls = operations(await documents(target))
    assert len(calls) > 500
    source = random.Random(SEED)
    deadline = time.monotonic() + RUN_SECONDS
    slow: list[tuple[str, str, bytes | None, str]] = []
    served: dict[int, int] = {}
    problems: list[str] = []

    async def call(operation: Operation) -> None:
        method, template, parameters = operation
        path = filled(template, source)
        query = {name: source.choice(ODD) for name in parameters if source.random() < 0.15}
        body, media_type = body_of(path, method, source) if method in ("put", "post", "patch", "delete") else (None, "")
        if method == "delete" and (source.random() < 0.7 or path.endswith("/namespaces/default")):
            return
        if template.endswith(("/log", "/proxy", "/exec", "/attach", "/portforward")) or "/proxy/" in template:
            query.pop("timeoutSeconds", None)
        asked = f"{path}?{urlencode(query)}" if query else path
        started = time.monotonic()
        answer = await target.request(method.upper(), asked, body, content_type=media_type)
        served[answer.status] = served.get(answer.status, 0) + 1
        problem = refusal_is_sound(answer.status, answer.body, method)
        if time.monotonic() - started > SLOW_SECONDS and len(slow) < CALLERS:
            slow.append((method.upper(), asked, body, media_type))
        if problem:
            problems.append(f"seed {SEED}: {method} {asked} {media_type} {body!r:.1500}\n  {problem}")

    async def caller() -> None:
        while time.monotonic() < deadline and not problems:
            await call(source.choice(calls))

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    print(f"seed {SEED}: {dict(sorted(served.items()))}")
    for asked_again in slow:
        problems += await alone(target, *asked_again)
    assert not problems, "\n".join(problems[:3])
    assert served.get(201, 0) > 10 and served.get(200, 0) > 50, f"control: much of it is served {served}"


async def alone(target: Target, method: str, path: str, body: bytes | None, media_type: str) -> list[str]:
    """What is wrong with what a call costs when nothing else is under way."""
    spent = []
    for _ in range(3):
        spent.append((await target.timed(method, path, body, content_type=media_type))[1])
        if spent[-1] <= LIMIT_SECONDS:
            return []
    return [f"seed {SEED}: {method} {path} {media_type} {body!r:.1500}\n  {min(spent):.2f} s of processor time"]


async def test_a_sample_of_the_operations_as_schemathesis_makes_them(target: Target) -> None:
    problems = await asyncio.to_thread(outsider, target, await documents(target), RUN_SECONDS)
    assert not problems, "\n".join(problems[:3])


def outsider(target: Target, found: dict[str, dict[str, Any]], seconds: float) -> list[str]:
    """Calls made from the documents alone, until the time is up."""
    warnings.simplefilter("ignore")
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, seed, settings

    source = random.Random(SEED)
    deadline = time.monotonic() + seconds
    pki = target.data_dir / "pki"
    identity = {"verify": str(pki / "ca.crt"), "cert": (str(pki / "admin.crt"), str(pki / "admin.key")), "timeout": 10}
    waiting: list[tuple[str, str, Callable[[], Any]]] = []
    for name, document in found.items():
        schema = schemathesis.openapi.from_dict(document)
        for path, item in document["paths"].items():
            waiting += [(name, path, lambda s=schema, p=path, m=m: s[p][m]) for m in METHODS if m in item]
    source.shuffle(waiting)
    problems: list[str] = []
    calls = 0
    for _, path, operation in waiting:
        if time.monotonic() > deadline or problems:
            break
        if "/watch/" in path or path.endswith("/namespaces"):
            continue

        @seed(SEED)
        @settings(
            max_examples=3,
            deadline=None,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation().as_strategy())
        def play(case: Any) -> None:
            nonlocal calls
            calls += 1
            case.path_parameters = {key: "default" if key == "namespace" else "a" for key in case.path_parameters or {}}
            case.query = {key: value for key, value in (case.query or {}).items() if key not in ENDLESS}
            answer = case.call(base_url=target.url, **identity)
            problem = refusal_is_sound(answer.status_code, answer.content, case.method)
            if problem:
                problems.append(f"seed {SEED}: {case.method} {case.path} {case.query} {case.body!r:.1500}\n  {problem}")

        play()
    print(f"seed {SEED}: {calls} calls of {len(waiting)} operations")
    if not problems and calls < 5:
        problems.append("hardly any call was made")
    return problems
