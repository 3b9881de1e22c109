"""From a RequestInfo to the function that answers it.

What must stay true: the kind, the scope and the verb are checked against the kind's own declaration, so what discovery
says is served is exactly what is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from apiserver.admission import AdmissionChain
from apiserver.admission.connect import CONNECTING, admit_connect
from apiserver.aggregator.controller import Aggregator
from apiserver.request import AnyResponse, Handler, Request
from apiserver.resources import Resources
from apiserver.verbs import Scope
from apiserver.verbs.create import create
from apiserver.verbs.delete import delete
from apiserver.verbs.deletecollection import deletecollection
from apiserver.verbs.get import get
from apiserver.verbs.list import list_objects
from apiserver.verbs.patch import patch
from apiserver.verbs.update import update
from apiserver.verbs.watch import watch
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError
from tiphys.clock import Clock

Verb = Callable[[Request, Scope], Awaitable[AnyResponse]]
Subresources = Mapping[tuple[str, str, str], Mapping[str, Verb]]
"""(group, plural, subresource) -> verb -> function; plural "*" is every kind that declares the subresource."""

VERBS: Mapping[str, Verb] = {
    "create": create,
    "get": get,
    "list": list_objects,
    "watch": watch,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": deletecollection,
}
_READING = frozenset({"get", "list", "watch"})


def no_such_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def not_allowed() -> StatusError:
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


class Dispatcher:
    """The handler behind all filters."""

    def __init__(
        self,
        resources: Resources,
        admission: AdmissionChain,
        clock: Clock,
        subresources: Subresources,
        other_paths: Handler,
        virtual: Mapping[tuple[str, str], Verb],
        aggregator: Aggregator,
    ) -> None:
        self._resources = resources
        self._admission = admission
        self._clock = clock
        self._subresources = subresources
        self._other_paths = other_paths
        self._virtual = virtual  # kinds that are answered, never stored: reviews
        self._aggregator = aggregator

    async def handle(self, request: Request) -> AnyResponse:
        info = request.info
        elsewhere = self._aggregator.entry_of(info)
        if elsewhere is not None:
            return await self._aggregator.handle(request, elsewhere)
        if not info.is_resource:
            return await self._other_paths(request)
        kind = self._resources.registry.get(info.group, info.version, info.resource)
        if kind is None or (info.segments and info.subresource != "proxy"):
            raise no_such_path()
        request.served = True
        if kind.deprecation:
            request.warn(kind.deprecation)
        self._check_scope(request, kind)
        scope = Scope(kind, self._resources.of(kind), self._resources, self._admission, self._clock, info.subresource)
        function = self._function(request, kind)
        if info.subresource in CONNECTING:
            await admit_connect(request, scope)
        if info.verb in _READING or info.subresource:
            return await function(request, scope)
        # A caller that hangs up must not leave a write half done: its bookkeeping runs to the end.
        return await asyncio.shield(asyncio.ensure_future(function(request, scope)))

    def _check_scope(self, request: Request, kind: KindInfo) -> None:
        info = request.info
        if (
            not kind.namespaced
            and info.namespace
            and not (info.namespace == info.name and info.resource == "namespaces")
        ):
            raise no_such_path()
        if kind.namespaced and not info.namespace and info.verb not in ("list", "watch"):
            raise not_allowed() if not info.name else no_such_path()

    def _function(self, request: Request, kind: KindInfo) -> Verb:
        info = request.info
        if info.subresource:
            declared = kind.subresources.get(info.subresource)
            found = self._subresources.get((kind.group, kind.plural, info.subresource))
            found = found or self._subresources.get(("*", "*", info.subresource))
            if declared is None or found is None:
                raise no_such_path()
            function = found.get(info.verb)
            if function is None:
                raise not_allowed()
            return function
        virtual = self._virtual.get((kind.group, kind.plural))
        if virtual is not None and info.verb == "create":
            return virtual
        if info.verb not in kind.verbs or (info.verb == "create" and info.name):
            raise not_allowed()
        return VERBS[info.verb]
