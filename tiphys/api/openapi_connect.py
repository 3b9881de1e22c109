"""The operations that carry a stream instead of an object: log, exec, attach, port-forward, proxy."""

from __future__ import annotations

from typing import Any

from tiphys.api.kinds import SubresourceInfo

JsonObject = dict[str, Any]

_CONTAINER = ("container", "string", "The container; the only one or the default one where it is left out.")
_STREAMS = (
    _CONTAINER,
    ("stderr", "boolean", "Whether the container's standard error is sent."),
    ("stdin", "boolean", "Whether the container's standard input is fed."),
    ("stdout", "boolean", "Whether the container's standard output is sent."),
    ("tty", "boolean", "Whether the streams are a terminal."),
)
_LOG = (
    _CONTAINER,
    ("follow", "boolean", "Go on with what is written from now on."),
    ("insecureSkipTLSVerifyBackend", "boolean", "Do not check who the node's agent is."),
    ("limitBytes", "integer", "The most bytes to send."),
    ("previous", "boolean", "The container's last run instead of this one."),
    ("sinceSeconds", "integer", "Only what is not older than this."),
    ("stream", "string", "All, Stdout or Stderr."),
    ("tailLines", "integer", "The last lines only, so many."),
    ("timestamps", "boolean", "Begin every line with its time."),
)
_PATH = (("path", "string", "Where the request goes behind the proxy."),)
OPTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "NodeProxyOptions": _PATH,
    "PodAttachOptions": _STREAMS,
    "PodExecOptions": (("command", "string", "The program and its arguments, given once for each."), *_STREAMS),
    "PodPortForwardOptions": (("ports", "integer", "The ports, separated by commas."),),
    "PodProxyOptions": _PATH,
    "ServiceProxyOptions": _PATH,
}
_PROXY_METHODS = ("delete", "get", "head", "options", "patch", "post", "put")


def is_stream(sub: SubresourceInfo) -> bool:
    return sub.name == "log" or sub.kind in OPTIONS


def connect_items(sub: SubresourceInfo, path: str) -> dict[str, JsonObject]:
    """Path to operations, and for a proxy also those of the paths behind it."""
    if sub.name == "log":
        return {path: {"get": _operation(sub, "get", _LOG, ("text/plain", "application/json"))}}
    options = OPTIONS[sub.kind]
    methods = _PROXY_METHODS if sub.name == "proxy" else ("get", "post")
    item = {method: _operation(sub, "connect", options, ("*/*",)) for method in methods}
    if sub.name != "proxy":
        return {path: item}
    behind = {method: _operation(sub, "connect", options, ("*/*",)) for method in methods}
    return {path: item, f"{path}/{{path}}": behind}


def _operation(
    sub: SubresourceInfo, action: str, options: tuple[tuple[str, str, str], ...], types: tuple[str, ...]
) -> JsonObject:
    answer = {"description": "OK", "content": {type_: {"schema": {"type": "string"}} for type_ in types}}
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": description,
                "schema": {"type": type_, "uniqueItems": True},
            }
            for name, type_, description in options
        ],
        "responses": {"200": answer, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
    }
