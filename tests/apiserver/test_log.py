"""pods/log: which container, which node, and what the agent's answers become.

The agent here is a TLS server with a node's certificate that demands ours: the wire between the two, without a node.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from apiserver.subresources.log import choose_container
from tests.apiserver.cluster import Cluster
from tiphys.api.status import StatusError

PODS = "/api/v1/namespaces/default/pods"


def pod(containers: str, init: str = "") -> dict[str, Any]:
    spec = {"containers": [{"name": name} for name in containers.split()]}
    if init:
        spec["initContainers"] = [{"name": name} for name in init.split()]
    return {"metadata": {"name": "p"}, "spec": spec}


def test_the_only_container_needs_no_name() -> None:
    assert choose_container(pod("a"), "") == "a"
    assert choose_container(pod("a b", "i"), "i") == "i"


@pytest.mark.parametrize(
    ("containers", "init", "asked", "message"),
    [
        ("a b", "", "", "a container name must be specified for pod p, choose one of: [a b]"),
        (
            "a b",
            "i j",
            "",
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i j]",
        ),
        ("a", "", "x", "container x is not valid for pod p"),
    ],
)
def test_a_choice_that_cannot_be_made_is_explained(containers: str, init: str, asked: str, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        choose_container(pod(containers, init), asked)
    assert refused.value.code == 400 and refused.value.message == message


@contextlib.asynccontextmanager
async def agent(cluster: Cluster) -> AsyncIterator[int]:
    """An agent's end of the connection; yields its port."""
    pki = cluster.data_dir / "pki"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "node-n1.crt", pki / "node-n1.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED

    async def logs(request: web.Request) -> web.StreamResponse:
        subject = dict(pair[0] for pair in request.transport.get_extra_info("peercert")["subject"])  # type: ignore[union-attr]
        assert subject["commonName"] == "kube-apiserver-kubelet-client"
        if request.match_info["container"] == "waiting":
            text = 'container "waiting" in pod "logs" is waiting to start: ContainerCreating'
            return web.Response(status=400, text=text)
        return web.Response(text=f"{request.path_qs}\n")

    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.answers_500
async def test_lines_come_from_the_agent_of_the_pods_node(cluster: Cluster) -> None:
    async with agent(cluster) as port:
        node = {"metadata": {"name": "log-node"}}
        made = await cluster.must("POST", "/api/v1/nodes", node)
        made["status"] = {
            **made.get("status", {}),
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        await cluster.must("PUT", "/api/v1/nodes/log-node/status", made)
        containers = [{"name": "c", "image": "i:1"}, {"name": "waiting", "image": "i:1"}]
        await cluster.must("POST", PODS, {"metadata": {"name": "logs"}, "spec": {"containers": containers}})
        early = await cluster.request("GET", f"{PODS}/logs/log?container=c")
        assert early.status == 200 and early.body == b""
        binding = {"metadata": {"name": "logs"}, "target": {"kind": "Node", "name": "log-node"}}
        await cluster.must("POST", f"{PODS}/logs/binding", binding)
        got = await cluster.request("GET", f"{PODS}/logs/log?container=c&follow=true&tailLines=5")
        assert got.body == b"/containerLogs/default/logs/c?follow=true&tailLines=5\n"
        waiting = await cluster.request("GET", f"{PODS}/logs/log?container=waiting")
        assert waiting.status == 400 and "is waiting to start: ContainerCreating" in waiting.json["message"]
        negative = await cluster.request("GET", f"{PODS}/logs/log?container=c&tailLines=-1")
        assert negative.status == 422
    gone = await cluster.request("GET", f"{PODS}/logs/log?container=c")
    assert gone.status == 500 and gone.json["message"].startswith("Get ")
