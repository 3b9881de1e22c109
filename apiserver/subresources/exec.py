"""pods/exec: a program in a container, its streams over a WebSocket that ends at the agent."""

from __future__ import annotations

from apiserver.dispatch import Verb
from apiserver.request import AnyResponse, Request
from apiserver.requestinfo import Query, first, truthy
from apiserver.subresources.connect import Options, connect_to_agent
from apiserver.subresources.kubelets import Agents
from apiserver.subresources.log import choose_container
from apiserver.verbs import Scope
from tiphys.api.status import bad_request

_STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))


def exec_subresource(agents: Agents) -> Verb:
    async def run(request: Request, scope: Scope) -> AnyResponse:
        pod = (await scope.store.get(request.info.namespace, request.info.name)).obj
        command = request.query.get("command", ())
        if not command:
            raise bad_request("you must specify at least one command for the container")
        options = [*stream_options(request.query), *(("command", word) for word in command)]
        container = choose_container(pod, first(request.query, "container"))
        return await connect_to_agent(agents, request, pod, "exec", container, options)

    return run


def stream_options(query: Query) -> Options:
    """The agent's words for the streams that are wanted.  Raises 400 when there are none."""
    options = [(theirs, "1") for ours, theirs in _STREAMS if truthy(query, ours)]
    if not {"input", "output", "error"} & {name for name, _ in options}:
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return options
