"""Reviews: questions to the authenticators and authorizers, asked as objects that are answered and never stored."""

from __future__ import annotations

from typing import Any

from apiserver.authentication import with_authenticated_group
from apiserver.authentication.serviceaccount import InvalidToken, ServiceAccountTokens
from apiserver.authorization import Attributes, Authorizer, Decision, RuleResolver
from apiserver.authorization.rules import Rule
from apiserver.dispatch import Verb
from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_object
from apiserver.registry.options import write_options
from apiserver.request import Request, Response, User
from apiserver.requestinfo import RequestInfo
from apiserver.verbs import Scope
from tiphys.api.status import bad_request, invalid, invalid_object

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
        _check(spec, scope)
        if not spec.get("user") and not spec.get("groups"):
            error = invalid("spec.user", "", "at least one of user or group must be specified")
            raise invalid_object(scope.info.group, scope.info.kind, "", [error])
        if scope.info.namespaced:
            _check_local(spec, request.info.namespace)
        extra = {key.lower(): tuple(values) for key, values in spec.get("extra", {}).items()}
        user = User(spec.get("user", ""), tuple(spec.get("groups", ())), spec.get("uid", ""), extra)
        obj["status"] = await _decide(authorizer, user, spec)
        return _answer(request, obj)

    return review


def self_access_review(authorizer: Authorizer) -> Verb:
    """SelfSubjectAccessReview: may I do this?"""

    async def review(request: Request, scope: Scope) -> Response:
        obj = await _read(request, scope)
        spec = obj.get("spec", {})
        _check(spec, scope)
        obj["status"] = await _decide(authorizer, request.user, spec)
        return _answer(request, obj)

    return review


def _check(spec: Obj, scope: Scope) -> None:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        raise invalid_object(scope.info.group, scope.info.kind, "", [invalid("spec.nonResourceAttributes", path, text)])
    if resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid_object(scope.info.group, scope.info.kind, "", [invalid("spec.resourceAttributes", None, text)])


def _check_local(spec: Obj, namespace: str) -> None:
    resource = spec.get("resourceAttributes")
    if resource is None:
        raise bad_request("spec.nonResourceAttributes: Invalid value: disallowed on this kind of request")
    if resource.get("namespace", "") != namespace:
        raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {namespace}")


async def _decide(authorizer: Authorizer, user: User, spec: Obj) -> Obj:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
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
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        try:
            user, audiences = await tokens.verify(spec["token"], spec.get("audiences", ()))
        except InvalidToken as error:
            obj["status"] = {"user": {}, "error": f"[invalid bearer token, {error}]"}
            return _answer(request, obj)
        obj["status"] = {
            "authenticated": True,
            "user": _user_info(with_authenticated_group(user)),
            "audiences": audiences,
        }
        return _answer(request, obj)

    return review


def rules_review(resolver: RuleResolver) -> Verb:
    """SelfSubjectRulesReview: what may I do in a namespace?  Incomplete where an authorizer cannot list its rules."""

    async def review(request: Request, scope: Scope) -> Response:
        obj = await _read(request, scope)
        namespace = obj.get("spec", {}).get("namespace", "")
        if not namespace:
            raise bad_request("no namespace on request")
        rights = await resolver.rights_of(request.user, namespace)
        status: Obj = {
            "resourceRules": [_resource_rule(rule) for rule in rights.rules if rule.resources],
            "nonResourceRules": [
                {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)} for rule in rights.rules if rule.urls
            ],
            "incomplete": rights.incomplete,
        }
        if rights.error:
            status["evaluationError"] = rights.error
        obj["status"] = status
        return _answer(request, obj)

    return review


def _resource_rule(rule: Rule) -> Obj:
    shown = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
    return {**shown, "resourceNames": list(rule.names)} if rule.names else shown
