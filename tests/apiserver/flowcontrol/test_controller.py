"""Priority and fairness in a running server: what is there, what a caller is told, and a flood."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from apiserver.admission import eventratelimit
from apiserver.admission.eventratelimit import EventRateLimit
from apiserver.flowcontrol.controller import LEVEL_HEADER, SCHEMA_HEADER
from apiserver.flowcontrol.suggested import flow_schemas, priority_levels
from tests.apiserver.admission.configured import new_namespace, until
from tests.apiserver.cluster import Answer, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

BURST, EVENTS_PER_SECOND = eventratelimit.BURST / 10, eventratelimit.EVENTS_PER_SECOND / 10
GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
FLOOD_REQUESTS = int(os.environ.get("TIPHYS_FLOOD_REQUESTS", "3000"))  # 100000 for the whole of it
FLOOD_CALLERS = 200
PATIENCE_SECONDS = 15.0
Object = dict[str, Any]


async def uid_of(cluster: Cluster, plural: str, name: str) -> str:
    found = await cluster.must("GET", f"{GROUP}/{plural}/{name}")
    return str(found["metadata"]["uid"])


async def is_at(cluster: Cluster, answer: Answer, schema: str, level: str) -> bool:
    wanted = (await uid_of(cluster, "flowschemas", schema), await uid_of(cluster, "prioritylevelconfigurations", level))
    return (answer.headers.get(SCHEMA_HEADER), answer.headers.get(LEVEL_HEADER)) == wanted


async def test_the_suggested_objects_are_there_and_say_that_their_levels_exist(cluster: Cluster) -> None:
    async def found(plural: str) -> dict[str, Object]:
        items = (await cluster.must("GET", f"{GROUP}/{plural}"))["items"]
        return {one["metadata"]["name"]: one for one in items}

    assert set(await found("prioritylevelconfigurations")) == {one["metadata"]["name"] for one in priority_levels()}

    async def settled() -> bool:
        conditions = [one["status"].get("conditions") for one in (await found("flowschemas")).values()]
        return all(one and (one[0]["type"], one[0]["status"]) == ("Dangling", "False") for one in conditions)

    await until(settled, "every schema says that its level exists")
    assert set(await found("flowschemas")) == {one["metadata"]["name"] for one in flow_schemas()}


async def test_an_answer_says_which_schema_and_level_it_came_through(cluster: Cluster) -> None:
    assert await is_at(cluster, await cluster.request("GET", "/api/v1/nodes"), "exempt", "exempt")
    assert await is_at(cluster, await cluster.request("GET", "/livez", identity=""), "probes", "exempt")
    answer = await cluster.request("GET", "/api/v1/nodes/n1", identity="node-n1")
    assert answer.status == 404 and await is_at(cluster, answer, "system-node-high", "node-high")
    answer = await cluster.request("GET", "/api/v1/secrets", headers={"Impersonate-User": "jane"})
    assert answer.status == 403 and await is_at(cluster, answer, "global-default", "global-default")
    async with cluster.session("scheduler").get(f"{cluster.url}/api/v1/pods?watch=true&timeoutSeconds=1") as watching:
        assert watching.headers[SCHEMA_HEADER] == await uid_of(cluster, "flowschemas", "kube-scheduler")


async def test_a_schema_of_ones_own_is_followed_and_the_mandatory_ones_come_back(cluster: Cluster) -> None:
    name = "own-flow"
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rule = {"subjects": [{"kind": "User", "user": {"name": "paul"}}], "resourceRules": [everything]}
    level = {"name": "not-there-yet"}
    spec = {"matchingPrecedence": 50, "priorityLevelConfiguration": level, "rules": [rule]}
    await cluster.must("POST", f"{GROUP}/flowschemas", {"metadata": {"name": name}, "spec": spec})

    async def condition() -> Object:
        found = await cluster.must("GET", f"{GROUP}/flowschemas/{name}")
        return dict((found["status"].get("conditions") or [{}])[0])

    async def is_dangling() -> bool:
        return (await condition()).get("status") == "True"

    async def asked() -> Answer:
        return await cluster.request("GET", "/api/v1/nodes", headers={"Impersonate-User": "paul"})

    await until(is_dangling, "the schema says that its level is missing")
    assert await is_at(cluster, await asked(), "catch-all", "catch-all")
    limited = {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}, "borrowingLimitPercent": 0}
    made = {"metadata": {"name": level["name"]}, "spec": {"type": "Limited", "limited": limited}}
    await cluster.must("POST", f"{GROUP}/prioritylevelconfigurations", made)

    async def is_refused() -> bool:
        return (await asked()).status == 429

    await until(is_refused, "the level without seats refuses")
    answer = await asked()
    assert answer.json["reason"] == "TooManyRequests" and answer.headers["Retry-After"] == "1"
    assert await is_at(cluster, answer, name, level["name"])
    await cluster.must("DELETE", f"{GROUP}/flowschemas/{name}")
    await cluster.must("DELETE", f"{GROUP}/prioritylevelconfigurations/{level['name']}")
    before = await uid_of(cluster, "flowschemas", "catch-all")
    await cluster.must("DELETE", f"{GROUP}/flowschemas/catch-all")

    async def is_back() -> bool:
        found = await cluster.request("GET", f"{GROUP}/flowschemas/catch-all")
        return found.status == 200 and found.json["metadata"]["uid"] != before

    await until(is_back, "catch-all is there again")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_flood_of_a_node_is_bounded_and_others_are_served(cluster: Cluster) -> None:
    node = {"metadata": {"name": "n1"}}
    await cluster.must("POST", "/api/v1/nodes", node, identity="node-n1")
    node_high = next(one for one in cluster.server._flow_control.levels if one.name == "node-high")
    statuses: Counter[int] = Counter()
    waits: list[float] = []
    highest, left = 0, FLOOD_REQUESTS
    patch, merge = {"metadata": {"annotations": {"flood": "yes"}}}, "application/merge-patch+json"
    memory = resident_bytes()

    async def caller(number: int) -> None:
        nonlocal left, highest
        while left > 0:
            left -= 1
            if number % 10:
                answer = await cluster.request("GET", "/api/v1/nodes/n1", identity="node-n1")
            else:
                patch["metadata"]["annotations"]["flood"] = str(left)
                answer = await cluster.request(
                    "PATCH", "/api/v1/nodes/n1", patch, identity="node-n1", content_type=merge
                )
            statuses[answer.status] += 1
            highest = max(highest, node_high.executing)

    async def somebody_else() -> None:
        while left > 0:
            started = time.monotonic()
            await cluster.must("GET", "/api/v1/pods?limit=1", identity="scheduler")
            waits.append(time.monotonic() - started)
            await asyncio.sleep(0.02)

    other = asyncio.create_task(somebody_else())
    await asyncio.gather(*(caller(number) for number in range(FLOOD_CALLERS)))
    await other
    assert set(statuses) <= {200, 409, 429}, statuses
    borrowable = sum(one.settings.lendable for one in cluster.server._flow_control.levels)
    assert highest <= node_high.settings.seats + borrowable
    assert max(waits) < PATIENCE_SECONDS and len(waits) > 3
    assert resident_bytes() - memory < 256 << 20
    assert (node_high.executing, node_high.waiting) == (0, 0)
    answer = await cluster.request("GET", "/api/v1/nodes/n1", identity="node-n1")
    assert answer.status == 200


async def test_beyond_its_seats_a_flood_waits_and_is_turned_away(cluster: Cluster) -> None:
    """The same flood against a level with hardly any seats: the bound is felt, and only by the level's own."""
    path = f"{GROUP}/prioritylevelconfigurations/node-high"
    level = await cluster.must("GET", path)
    level["spec"]["limited"] |= {"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0}
    level["spec"]["limited"]["limitResponse"]["queuing"] |= {"queues": 2, "handSize": 1, "queueLengthLimit": 3}
    await cluster.must("PUT", path, level)
    found = next(one for one in cluster.server._flow_control.levels if one.name == "node-high")

    async def is_small() -> bool:
        return found.settings.seats < 5

    await until(is_small, "the new settings hold")
    statuses: Counter[int] = Counter()

    async def write(number: int) -> None:
        patch = {"metadata": {"annotations": {"flood": str(number)}}}
        merge = "application/merge-patch+json"
        answer = await cluster.request("PATCH", "/api/v1/nodes/n1", patch, identity="node-n1", content_type=merge)
        statuses[answer.status] += 1
        if answer.status == 429:
            assert answer.headers["Retry-After"] == "1"

    await asyncio.gather(*(write(number) for number in range(FLOOD_CALLERS)))
    assert statuses[200] and statuses[429] and set(statuses) <= {200, 409, 429}, statuses
    assert (await cluster.request("GET", "/api/v1/nodes/n1", identity="node-n1")).status == 200
    assert found.rejected


async def test_one_namespaces_events_are_limited_and_anothers_are_not(cluster: Cluster) -> None:
    flooding, quiet = await new_namespace(cluster), await new_namespace(cluster)
    (limit,) = [one for one in cluster.server.admission.plugins if isinstance(one, EventRateLimit)]
    # A tenth of the usual, so that the slowest machine gets to the limit.
    limit._burst, limit._per_second = BURST, EVENTS_PER_SECOND
    statuses: Counter[int] = Counter()
    left = BURST + 200

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            event = {
                "metadata": {"name": f"e{left}"},
                "involvedObject": {"kind": "Pod", "name": "p", "namespace": flooding},
            }
            answer = await cluster.request("POST", f"/api/v1/namespaces/{flooding}/events", event)
            statuses[answer.status] += 1
            if answer.status == 429:
                text = f"Too many requests: limit reached on type Namespace for key {flooding}"
                assert answer.json["message"] == text and answer.headers["Retry-After"] == "1"

    started = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(32)))
    seconds = time.monotonic() - started
    assert statuses[429] and set(statuses) == {201, 429}
    assert statuses[201] <= BURST + EVENTS_PER_SECOND * seconds + 1
    events = cluster.server.resources.named("", "events")
    assert events is not None and len(events.peek_all(flooding)) == statuses[201]
    about = {"kind": "Pod", "name": "p", "namespace": quiet}
    event = {"metadata": {"name": "e"}, "involvedObject": about}
    assert (await cluster.request("POST", f"/api/v1/namespaces/{quiet}/events", event)).status == 201
