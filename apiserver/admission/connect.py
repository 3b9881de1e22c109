"""Admission of CONNECT: exec, attach, portforward and proxy, before anything is dialled.

The options are what the query says, as an object of the subresource's own kind.
"""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.admission import Attributes, Obj
from apiserver.admission.description import kind_of
from apiserver.request import Request
from apiserver.requestinfo import first, truthy
from apiserver.verbs import Scope

CONNECTING = frozenset({"exec", "attach", "portforward", "proxy"})
_FLAGS = ("stdin", "stdout", "stderr", "tty")


async def admit_connect(request: Request, scope: Scope) -> None:
    """Raises StatusError."""
    attributes = scope.attributes(request, "CONNECT", _options(request, scope), None)
    await scope.admission.mutate(attributes)
    await scope.admission.validate(_fresh(attributes))


def _fresh(attributes: Attributes) -> Attributes:
    attributes.notes.clear()
    return attributes


def _options(request: Request, scope: Scope) -> Obj:
    kind = kind_of(scope.info, request.info.subresource)
    group: Mapping[str, str] = kind
    api_version = f"{group['group']}/{group['version']}" if group["group"] else group["version"]
    options: Obj = {"kind": kind["kind"], "apiVersion": api_version}
    query = request.query
    if request.info.subresource == "proxy":
        options["path"] = "".join("/" + segment for segment in request.info.segments)
    elif request.info.subresource == "portforward":
        ports = [int(text) for text in query.get("ports", ()) if text.isascii() and text.isdigit() and len(text) <= 5]
        if ports:
            options["ports"] = ports
    else:
        options |= {name: True for name in _FLAGS if truthy(query, name)}
        if first(query, "container"):
            options["container"] = first(query, "container")
        if request.info.subresource == "exec" and query.get("command"):
            options["command"] = list(query["command"])
    return options
