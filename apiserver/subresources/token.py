"""serviceaccounts/token: a token for an account, bound to an audience and, where asked, to a pod.

What must stay true: a node gets tokens only for pods that run on it; nobody gets one for less than ten minutes or for
an object that is not there.
"""

from __future__ import annotations

from typing import Any

from apiserver.authentication.serviceaccount import ISSUER, Bound, TokenSigner
from apiserver.dispatch import Verb
from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_part
from apiserver.registry.options import write_options
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from tiphys.api.authentication.tokenrequest import TokenRequest
from tiphys.api.declaration import struct_of
from tiphys.api.status import (
    FieldError,
    StatusError,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_object,
    not_found,
)
from tiphys.api.times import format_time

Obj = dict[str, Any]

_SHORTEST_SECONDS = 600
_LONGEST_SECONDS = 1 << 32
_POD_TOKEN_SECONDS = 3607  # what the ServiceAccount admission plugin asks for: upstream extends it to a year
_EXTENDED_SECONDS = 365 * 24 * 3600


def token_subresource(signer: TokenSigner) -> Verb:
    async def create_token(request: Request, scope: Scope) -> Response:
        accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
        options = write_options(request, "CreateOptions")
        asked = await read_part(
            request, struct_of(TokenRequest), "TokenRequest", "v1", scope.resources.registry, options
        )
        spec = asked.setdefault("spec", {})
        seconds = spec.get("expirationSeconds") or 3600
        _check_seconds(seconds, request.info.name)
        account = (await scope.store.get(request.info.namespace, request.info.name)).obj
        pod, node = await _bound_object(request, scope, spec.get("boundObjectRef"))
        audiences = spec.get("audiences") or [ISSUER]
        extended = pod is not None and seconds == _POD_TOKEN_SECONDS and audiences == [ISSUER]
        token, expires = signer.issue(
            account,
            audiences=audiences,
            seconds=_EXTENDED_SECONDS if extended else seconds,
            pod=pod,
            node=node,
            warn_after_seconds=seconds if extended else 0,
        )
        shown_expiry = expires - (_EXTENDED_SECONDS - seconds if extended else 0)
        spec = {"boundObjectRef": None, **spec, "audiences": audiences, "expirationSeconds": seconds}
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": _metadata(account, scope),
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": _time(shown_expiry)},
        }
        return object_response(answer, accepted, 201)

    return create_token


def _metadata(account: Obj, scope: Scope) -> Obj:
    metadata = account["metadata"]
    return {"name": metadata["name"], "namespace": metadata["namespace"], "creationTimestamp": scope.now()}


def _time(seconds: int) -> str:
    from datetime import UTC, datetime

    return format_time(datetime.fromtimestamp(seconds, UTC))


def _check_seconds(seconds: int, name: str) -> None:
    errors: list[FieldError] = []
    if seconds < _SHORTEST_SECONDS:
        errors.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _LONGEST_SECONDS:
        errors.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if errors:
        raise invalid_object("authentication.k8s.io", "TokenRequest", "", errors)


async def _bound_object(request: Request, scope: Scope, reference: Obj | None) -> tuple[Obj | None, Bound | None]:
    """(the pod, its node) a token is bound to.  Raises 400, 403, 404, 409."""
    user = request.user.name
    if reference is None:
        if user.startswith("system:node:"):
            raise _node_refusal(request, "node requested token not bound to a pod")
        return None, None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind != "Pod":
        raise bad_request(f"cannot bind token to object of type {reference.get('apiVersion', '')}, Kind={kind}")
    pod = await scope.resources.lookup("", "pods", request.info.namespace, name)
    if pod is None:
        raise not_found("", "pods", name)
    uid = reference.get("uid", "")
    if uid and uid != pod["metadata"]["uid"]:
        text = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have "
            "been deleted and then recreated"
        )
        raise conflict("", "pods", name, text)
    if pod["spec"].get("serviceAccountName", "") != request.info.name:
        account = request.info.name
        raise bad_request(
            f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        )
    bound_node = pod["spec"].get("nodeName", "")
    if user.startswith("system:node:") and user != f"system:node:{bound_node}":
        raise _node_refusal(request, "node requested token bound to a pod scheduled on a different node")
    node = scope.resources.peek("", "nodes", "", bound_node) if bound_node else None
    return pod, Bound("Node", bound_node, node["metadata"]["uid"] if node else "") if bound_node else None


def _node_refusal(request: Request, text: str) -> StatusError:
    return forbidden("", "serviceaccounts", request.info.name, text)
