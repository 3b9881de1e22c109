"""Reviews: questions to the authenticators and authorizers, asked as objects that are answered and never stored."""

from __future__ import annotations

from typing import Any

from apiserver.authentication.serviceaccount import InvalidToken, ServiceAccountTokens
from apiserver.authorization import Attributes, Authorizer, Decision
from apiserver.dispatch import Verb
from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_object
from apiserver.registry.options import write_options
from apiserver.request import Request, Response, User
from apiserver.requestinfo import RequestInfo
from apiserver.verbs import Scope
from tiphys.api.status import invalid, invalid_object

Obj = dict[str, Any]


async def _read(request: Request, scope: Scope) -> Obj:
    options = write_options(request, "CreateOptions")
    obj = await read_object(request, scope.info, scope.resources.registry, options)
    obj["metadata"] = {"creationTimestamp": None, **obj.get("metadata", {})}
    return obj


def _answer(request: Request, obj: Obj) -> Response:
    return object_response(obj, negotiate(request.headers.get("Accept", ""), transforms=False), 201)


def access_review(authorizer: Authorizer) -> Verb:
    """SubjectAccessReview and LocalSubjectAccessReview: may that user do this?"""

    async def review(request: Request, scope: Scope) -> Response:
        obj = await _read(request, scope)
        spec = obj.get("spec", {})
        if not spec.get("user") and not spec.get("groups"):
            error = invalid("spec.user", "", "at least one of user or group must be specified")
            raise invalid_object(scope.info.group, scope.info.kind, "", [error])
        user = User(spec.get("user", ""), tuple(spec.get("groups", ())), spec.get("uid", ""))
        obj["status"] = await _decide(authorizer, user, spec, scope)
        return _answer(request, obj)

    return review


def self_access_review(authorizer: Authorizer) -> Verb:
    """SelfSubjectAccessReview: may I do this?"""

    async def review(request: Request, scope: Scope) -> Response:
        obj = await _read(request, scope)
        obj["status"] = await _decide(authorizer, request.user, obj.get("spec", {}), scope)
        return _answer(request, obj)

    return review


async def _decide(authorizer: Authorizer, user: User, spec: Obj, scope: Scope) -> Obj:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        error = invalid(
            "spec.resourceAttributes",
            resource,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )
        raise invalid_object(scope.info.group, scope.info.kind, "", [error])
    if resource is not None:
        info = RequestInfo(
            "",
            resource.get("verb", ""),
            is_resource=True,
            group=resource.get("group", ""),
            version=resource.get("version", ""),
            namespace=resource.get("namespace", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            name=resource.get("name", ""),
        )
    else:
        assert path is not None
        info = RequestInfo(path.get("path", ""), path.get("verb", ""))
    decision, reason = await authorizer.authorize(Attributes(user, info))
    status: Obj = {"allowed": decision is Decision.ALLOW}
    if decision is Decision.DENY:
        status["denied"] = True
    if reason:
        status["reason"] = reason
    return status


async def self_review(request: Request, scope: Scope) -> Response:
    """SelfSubjectReview: who am I?"""
    obj = await _read(request, scope)
    obj["metadata"]["creationTimestamp"] = scope.now()
    obj["status"] = {"userInfo": _user_info(request.user)}
    return _answer(request, obj)


def _user_info(user: User) -> Obj:
    info: Obj = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def token_review(tokens: ServiceAccountTokens) -> Verb:
    """TokenReview: whose token is this?"""

    async def review(request: Request, scope: Scope) -> Response:
        obj = await _read(request, scope)
        spec = obj.get("spec", {})
        try:
            user, audiences = await tokens.verify(spec.get("token", ""), spec.get("audiences", ()))
        except InvalidToken as error:
            obj["status"] = {"user": {}, "error": f"[invalid bearer token, {error}]"}
            return _answer(request, obj)
        known = User(user.name, (*user.groups, "system:authenticated"), user.uid, user.extra)
        obj["status"] = {"authenticated": True, "user": _user_info(known), "audiences": audiences}
        return _answer(request, obj)

    return review


def rules_review(authorizer: Authorizer) -> Verb:
    """SelfSubjectRulesReview: incomplete by nature; an authorizer that can list its rules adds them."""

    async def review(request: Request, scope: Scope) -> Response:
        obj = await _read(request, scope)
        listing = getattr(authorizer, "rules_of", None)
        resource_rules, path_rules = listing(request.user) if listing else ([], [])
        obj["status"] = {
            "resourceRules": resource_rules,
            "nonResourceRules": path_rules,
            "incomplete": listing is None,
        }
        return _answer(request, obj)

    return review
