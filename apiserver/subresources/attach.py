"""pods/attach: the streams of a container's own program over a WebSocket that ends at the agent."""

from __future__ import annotations

from apiserver.dispatch import Verb
from apiserver.request import AnyResponse, Request
from apiserver.requestinfo import first
from apiserver.subresources.connect import connect_to_agent
from apiserver.subresources.exec import stream_options
from apiserver.subresources.kubelets import Agents
from apiserver.subresources.log import choose_container
from apiserver.verbs import Scope


def attach_subresource(agents: Agents) -> Verb:
    async def run(request: Request, scope: Scope) -> AnyResponse:
        pod = (await scope.store.get(request.info.namespace, request.info.name)).obj
        container = choose_container(pod, first(request.query, "container"))
        return await connect_to_agent(agents, request, pod, "attach", container, stream_options(request.query))

    return run
