"""pods/portforward: SPDY frames in a WebSocket that ends at the agent; the ports are named inside."""

from __future__ import annotations

from apiserver.dispatch import Verb
from apiserver.request import AnyResponse, Request
from apiserver.subresources.connect import connect_to_agent
from apiserver.subresources.kubelets import Agents
from apiserver.verbs import Scope


def portforward_subresource(agents: Agents) -> Verb:
    async def run(request: Request, scope: Scope) -> AnyResponse:
        pod = (await scope.store.get(request.info.namespace, request.info.name)).obj
        return await connect_to_agent(agents, request, pod, "portForward", "", [])

    return run
