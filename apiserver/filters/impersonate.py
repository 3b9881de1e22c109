"""Impersonation: acting as somebody else, for those who may (`kubectl --as`).

What must stay true: every part of the other identity is a right of its own, asked before the request goes on; the
headers are never ignored, because the caller relies on having fewer rights from here on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from apiserver.authentication import with_authenticated_group
from apiserver.authorization import Attributes, Authorizer, Decision, forbidden
from apiserver.request import ANONYMOUS, AnyResponse, Filter, Handler, Request, User
from apiserver.requestinfo import RequestInfo
from tiphys.api.status import bad_request

_USER, _GROUP, _UID, _EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"


def impersonate(authorizer: Authorizer) -> Filter:
    async def run(request: Request, following: Handler) -> AnyResponse:
        name = request.headers.get(_USER, "")
        groups, extra = _values(request, _GROUP), _extra(request)
        uid = request.headers.get(_UID, "")
        if not (name or groups or uid or extra):
            return await following(request)
        if not name:
            raise bad_request("requested impersonation of groups, uid or extra without impersonating a user")
        for info in _rights(name, groups, uid, extra):
            attributes = Attributes(request.user, info)
            decision, reason = await authorizer.authorize(attributes)
            if decision is not Decision.ALLOW:
                raise forbidden(attributes, reason)
        request.user = _other(name, groups, uid, extra)
        return await following(request)

    return run


def _values(request: Request, header: str) -> list[str]:
    getall = getattr(request.headers, "getall", None)
    return list(getall(header, [])) if getall else []


def _extra(request: Request) -> dict[str, tuple[str, ...]]:
    names = [name for name in request.headers if name.lower().startswith(_EXTRA)]
    return {unquote(name[len(_EXTRA) :].lower()): tuple(_values(request, name)) for name in names}


def _rights(name: str, groups: Sequence[str], uid: str, extra: dict[str, tuple[str, ...]]) -> Iterator[RequestInfo]:
    """What the caller must be allowed to impersonate."""
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.removeprefix(_ACCOUNT).split(":")
        yield _right("", "serviceaccounts", account, namespace=namespace)
    else:
        yield _right("", "users", name)
    for group in groups:
        yield _right("", "groups", group)
    if uid:
        yield _right("authentication.k8s.io", "uids", uid)
    for key, values in extra.items():
        for value in values:
            yield _right("authentication.k8s.io", "userextras", value, subresource=key)


def _right(group: str, resource: str, name: str, *, namespace: str = "", subresource: str = "") -> RequestInfo:
    return RequestInfo(
        "",
        "impersonate",
        is_resource=True,
        group=group,
        version="v1",
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
    )


def _other(name: str, groups: list[str], uid: str, extra: dict[str, tuple[str, ...]]) -> User:
    if not groups and name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace = name.removeprefix(_ACCOUNT).split(":")[0]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    if name == ANONYMOUS.name:
        return User(name, (*groups, *(one for one in ANONYMOUS.groups if one not in groups)), uid, extra)
    return with_authenticated_group(User(name, tuple(groups), uid, extra))
