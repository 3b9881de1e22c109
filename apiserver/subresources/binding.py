"""pods/binding: the scheduler's decision, written once.

What must stay true: a pod that has a node never gets another; the node and the PodScheduled condition are one write.
"""

from __future__ import annotations

from typing import Any

from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_part
from apiserver.registry.options import write_options
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from tiphys.api.core.binding import Binding
from tiphys.api.declaration import struct_of
from tiphys.api.status import bad_request, conflict, invalid_object, not_supported, required

Obj = dict[str, Any]


async def bind(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
    options = write_options(request, "CreateOptions")
    binding = await read_part(request, struct_of(Binding), "Binding", "v1", scope.resources.registry, options)
    name = request.info.name or binding.get("metadata", {}).get("name", "")
    _check(binding, name, request.info.namespace)
    node = binding["target"]["name"]

    async def change(pod: Obj) -> Obj:
        _check_pod(pod, binding, node)
        pod["spec"]["nodeName"] = node
        metadata = pod["metadata"]
        for field in ("annotations", "labels"):
            extra = binding.get("metadata", {}).get(field)
            if extra:
                metadata[field] = {**metadata.get(field, {}), **extra}
        _set_scheduled(pod, scope.now())
        return pod

    attributes = scope.attributes(request, "CREATE", binding, None, dry_run=options.dry_run)
    await scope.admission.mutate(attributes)
    await scope.admission.validate(attributes)
    await scope.store.change(request.info.namespace, name, change, dry_run=options.dry_run)
    done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return object_response(done, accepted, 201)


async def bind_by_body(request: Request, scope: Scope) -> Response:
    """POST …/bindings, the old address: the pod is named by the body."""
    pods = scope.resources.named("", "pods")
    assert pods is not None
    pod_scope = Scope(pods.info, pods, scope.resources, scope.admission, scope.clock, "binding")
    return await bind(request, pod_scope)


def _check(binding: Obj, name: str, namespace: str) -> None:
    metadata, target = binding.get("metadata", {}), binding.get("target", {})
    if metadata.get("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    errors = []
    if target.get("kind", "") not in ("", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    if errors:
        raise invalid_object("", "Binding", name, errors)


def _check_pod(pod: Obj, binding: Obj, node: str) -> None:
    metadata, name = pod["metadata"], pod["metadata"]["name"]
    uid, version = (binding.get("metadata", {}).get(key) for key in ("uid", "resourceVersion"))
    if uid and uid != metadata["uid"]:
        text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise conflict("", "pods/binding", name, text)
    if version and version != metadata["resourceVersion"]:
        text = (
            f"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: "
            f"{metadata['resourceVersion']}"
        )
        raise conflict("", "pods/binding", name, text)
    if "deletionTimestamp" in metadata:
        raise conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    bound = pod["spec"].get("nodeName", "")
    if bound:
        raise conflict("", "pods/binding", name, f'pod {name} is already assigned to node "{bound}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict("", "pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")


def _set_scheduled(pod: Obj, now: str) -> None:
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    generation = pod["metadata"].get("generation")
    scheduled: Obj = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    if generation:
        scheduled["observedGeneration"] = generation
    pod["status"]["conditions"] = [one for one in conditions if one.get("type") != "PodScheduled"] + [scheduled]
