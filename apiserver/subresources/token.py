"""serviceaccounts/token: a token for an account, bound to an audience and, where asked, to a pod.

What must stay true: a node gets tokens only for pods that run on it; nobody gets one for less than ten minutes or for
an object that is not there.
"""

from __future__ import annotations

from typing import Any

from apiserver.authentication.serviceaccount import Bound, TokenSigner
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
        bound = await _bound_objects(request, scope, spec.get("boundObjectRef"))
        issuer = signer.issuer
        audiences = spec.get("audiences") or list(issuer.accepted_audiences)
        on_pod = bool(bound) and bound[0].kind == "Pod"
        extended = on_pod and seconds == _POD_TOKEN_SECONDS and audiences == list(issuer.accepted_audiences)
        if issuer.max_seconds and seconds > issuer.max_seconds:
            request.warn(f"requested expiration of {seconds} seconds shortened to {issuer.max_seconds} seconds")
            seconds = issuer.max_seconds
        token, expires = signer.issue(
            account,
            audiences=audiences,
            seconds=_EXTENDED_SECONDS if extended else seconds,
            bound=bound,
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


async def _bound_objects(request: Request, scope: Scope, reference: Obj | None) -> list[Bound]:
    """What the token is bound to: a pod with its node, a node, a secret, or nothing.  Raises 400, 403, 404, 409."""
    user = request.user.name
    if reference is None:
        if user.startswith("system:node:"):
            raise _node_refusal(request, "node requested token not bound to a pod")
        return []
    kind, name, namespace = reference.get("kind", ""), reference.get("name", ""), request.info.namespace
    plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(kind)
    if plural is None or reference.get("apiVersion", "v1") != "v1":
        raise bad_request(f"cannot bind token to object of type {reference.get('apiVersion', '')}, Kind={kind}")
    if kind != "Pod" and user.startswith("system:node:"):
        raise _node_refusal(request, "node requested token not bound to a pod")
    found = await scope.resources.lookup("", plural, "" if kind == "Node" else namespace, name)
    if found is None:
        raise not_found("", plural, name)
    uid = reference.get("uid", "")
    if uid and uid != found["metadata"]["uid"]:
        text = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have "
            "been deleted and then recreated"
        )
        raise conflict("", plural, name, text)
    bound = [Bound(kind, name, found["metadata"]["uid"])]
    return bound + _node_of(request, scope, found) if kind == "Pod" else bound


def _node_of(request: Request, scope: Scope, pod: Obj) -> list[Bound]:
    """The node of a pod that may have this account's tokens, where it has one already.  Raises 400, 403."""
    account, user = request.info.name, request.user.name
    if pod["spec"].get("serviceAccountName", "") != account:
        raise bad_request(
            f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        )
    name = pod["spec"].get("nodeName", "")
    if user.startswith("system:node:") and user != f"system:node:{name}":
        raise _node_refusal(request, "node requested token bound to a pod scheduled on a different node")
    node = scope.resources.peek("", "nodes", "", name) if name else None
    return [Bound("Node", name, node["metadata"]["uid"] if node else "")] if name else []


def _node_refusal(request: Request, text: str) -> StatusError:
    return forbidden("", "serviceaccounts", request.info.name, text)
