"""Selectors, list options and lists that are made to cost: refused or answered in bounded time and memory."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any
from urllib.parse import quote

import pytest

from tests.apiserver.hostile.target import CONFIGMAPS, MIB, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK_SECONDS = 0.15


def token(**parts: Any) -> str:
    body = {"v": "meta.k8s.io/v1", "rv": 5, "start": "default/a", **parts}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


@pytest.mark.parametrize("parameter", ["labelSelector", "fieldSelector"])
async def test_a_selector_of_a_megabyte_is_refused(target: Target, parameter: str) -> None:
    codes, _, closed = await target.raw(
        b"GET "
        + CONFIGMAPS.encode()
        + b"?"
        + parameter.encode()
        + b"="
        + b"a%3Db," * 200_000
        + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert codes == [400] and closed
    good = {"labelSelector": "a=b", "fieldSelector": "metadata.name=a"}[parameter]
    assert (await target.request("GET", f"{CONFIGMAPS}?{parameter}={quote(good)}")).status == 200, "control"


@pytest.mark.parametrize(
    "selector",
    [
        ",".join(f"k{number}" for number in range(10_000)),
        "a in (" + ",".join(f"v{number}" for number in range(8_000)) + ")",
        "(" * 20_000, "a in (" * 5_000, "!" * 20_000, "=" * 20_000, "," * 20_000, "a" * 60_000, "a>" + "9" * 5_000,
        "a>\u0663",
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
async def test_a_selector_of_ten_thousand_terms_stays_cheap(target: Target, selector: str) -> None:
    answer, seconds = await target.timed("GET", f"{CONFIGMAPS}?labelSelector={quote(selector)}")
    assert answer.status in (200, 400) and seconds <= QUICK_SECONDS, (answer.status, seconds)


async def test_a_hostile_selector_inside_an_object_stays_cheap(target: Target) -> None:
    values = [f"v{number}" for number in range(50_000)]
    spec = {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": values}]}}
    body = {"metadata": {"generateName": "wide-"}, "spec": spec}
    path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
    answer, seconds = await target.timed("POST", path, body)
    assert answer.status < 500 and seconds <= 0.8


BAD_OPTIONS = {
    "continue=x": 400,
    "continue=" + "A" * 50_000: 400,
    "continue=" + token(start="../secrets/kube-system/x"): 400,
    "continue=" + token(start="/registry/core/secrets/"): 400,
    "continue=" + token(start="a/../../secrets/x"): 400,
    "continue=" + token(start=""): 400,
    "continue=" + token(start=5): 400,
    "continue=" + token(rv="5"): 400,
    "continue=" + token(rv=0): 400,
    "continue=" + token(rv=True): 400,
    "continue=" + token(rv=-7): 400,
    "continue=" + token(rv=2**70): 400,
    "continue=" + token(rv=1e300): 400,
    "continue=" + token(v="meta.k8s.io/v9"): 400,
    "continue=" + token(rv=2**62): 504,
    "resourceVersion=" + str(2**70): 400,
    "resourceVersion=-1": 400,
    "resourceVersion=x": 400,
    "resourceVersion=%C2%B2": 400,
    "resourceVersion=" + "9" * 19: 504,
    "resourceVersion=" + str(2**62): 504,
    "resourceVersionMatch=Exact": 422,
    "resourceVersion=1&resourceVersionMatch=x": 422,
    "limit=x": 400,
    "limit=--5": 400,
    "limit=%C2%B2": 400,
    "limit=" + "9" * 30: 400,
    "limit=1e3": 400,
    "timeout=-1s": 400,
    "timeoutSeconds=%C2%B2&watch=true": 400,
    "timeoutSeconds=--1&watch=true": 400,
    "watch=true&resourceVersion=" + str(2**70): 400,
    "watch=true&continue=x": 422,
    "sendInitialEvents=true": 422,
    "fieldSelector=spec.secret%3Dx": 400,
    "&".join(f"a{number}=b" for number in range(1000)): 400,
    "limit=%ff": 400,
}


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=lambda text: text[:40])
async def test_list_options_that_make_no_sense_are_refused(target: Target, options: str) -> None:
    answer, seconds = await target.timed("GET", f"{CONFIGMAPS}?{options}")
    assert answer.status == BAD_OPTIONS[options], answer.body[:300]
    assert answer.json["kind"] == "Status" and seconds <= QUICK_SECONDS


async def test_list_options_at_their_bounds_are_served(target: Target) -> None:
    """The controls, and numbers upstream takes although they are odd."""
    for name in ("p1", "p2", "p3"):
        await target.must("POST", CONFIGMAPS, {"metadata": {"name": name}})
    page = await target.must("GET", f"{CONFIGMAPS}?limit=1")
    following = await target.must("GET", f"{CONFIGMAPS}?limit=1&continue={page['metadata']['continue']}")
    assert following["items"][0]["metadata"]["name"] > page["items"][0]["metadata"]["name"]
    for odd in ("limit=-1", f"limit={2**63 - 1}", "limit=0"):
        assert len((await target.must("GET", f"{CONFIGMAPS}?{odd}"))["items"]) >= 3
    codes, received, closed = await target.raw(
        b"GET " + CONFIGMAPS.encode() + b"?watch=true&timeoutSeconds=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n", seconds=1
    )
    assert codes == [200] and b"p3" in received and not closed


async def test_a_continue_token_of_another_kind_shows_nothing_of_that_kind(target: Target) -> None:
    await target.must("POST", "/api/v1/namespaces/kube-system/secrets", {"metadata": {"name": "zz-hidden"}})
    version = (await target.must("GET", f"{CONFIGMAPS}?limit=1"))["metadata"]["resourceVersion"]
    for start in ("kube-system/a", "a", "\x00", "zzzz"):
        for path in (CONFIGMAPS, "/api/v1/configmaps"):
            answer = await target.request("GET", f"{path}?continue={token(start=start, rv=int(version))}")
            assert answer.status == 200 and "zz-hidden" not in answer.body.decode(), start


@pytest.mark.slow
async def test_twenty_clients_that_list_a_hundred_megabytes_share_them(target: Target) -> None:
    """500 objects of 100 kB, listed by 20 clients at once who read slowly: the answers are not copied per client."""
    path = "/api/v1/namespaces/large/configmaps"
    await target.must("POST", "/api/v1/namespaces", {"metadata": {"name": "large"}})
    noise = random.Random(1).randbytes(75_000)
    for number in range(500):
        body = {"metadata": {"name": f"c{number}"}, "binaryData": {"a": base64.b64encode(noise).decode()}}
        await target.must("POST", path, body)
    alone = await target.request("GET", path, headers={"Accept-Encoding": "identity"})
    assert alone.status == 200 and len(alone.body) > 50_000_000, "control"
    before = target.memory_bytes()
    target.forget_peak()

    async def slowly() -> int:
        size = 0
        async with target.session().get(target.url + path, headers={"Accept-Encoding": "identity"}) as answer:
            async for chunk in answer.content.iter_chunked(1 << 20):
                size += len(chunk)
        return size

    sizes = await asyncio.gather(*(slowly() for _ in range(20)))
    assert set(sizes) == {len(alone.body)}
    assert len(alone.json["items"]) == 500
    packed = await target.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.json["items"] == alone.json["items"]
    assert (await target.request("HEAD", path)).body == b""
    grown = target.peak_bytes() - before
    assert grown <= 128 * MIB, f"{grown / MIB:.0f} MiB more for twenty lists of {len(alone.body) / MIB:.0f} MiB"
