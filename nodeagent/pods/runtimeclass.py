"""From a pod's RuntimeClass to the handler that the runtime knows it by."""

from __future__ import annotations

from nodeagent.runtime.interface import RuntimeFailure
from tiphys.api.core.pod import Pod
from tiphys.api.node.runtimeclass import RuntimeClass
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


async def runtime_handler(client: Client, pod: Pod) -> str:
    """ "" without a RuntimeClass.  Raises RuntimeFailure, with the text of the FailedCreatePodSandBox event, when the
    class does not exist; ApiError and ConnectionFailed when the API server cannot say.
    """
    name = pod.spec.runtimeClassName
    if not name:
        return ""
    try:
        return (await client.get(RuntimeClass, name)).handler
    except ApiError as error:
        if error.not_found:
            raise RuntimeFailure(f'runtimeclass.node.k8s.io "{name}" not found') from error
        raise
