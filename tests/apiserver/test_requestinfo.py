"""How a method and a path are read: a table."""

from __future__ import annotations

import pytest

from apiserver.requestinfo import parse_request_info
from tiphys.api.status import StatusError


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/pods", {}, ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": ["true"]}, ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": ["0"]}, ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/watch/pods", {}, ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/b", {}, ("get", "", "v1", "a", "pods", "", "b")),
        ("GET", "/api/v1/namespaces/a/pods/b/log", {}, ("get", "", "v1", "a", "pods", "log", "b")),
        ("GET", "/api/v1/namespaces/a", {}, ("get", "", "v1", "a", "namespaces", "", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "v1", "a", "namespaces", "finalize", "a")),
        ("GET", "/api/v1/namespaces/a/status", {}, ("get", "", "v1", "a", "namespaces", "status", "a")),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments",
            {},
            ("deletecollection", "apps", "v1", "a", "deployments", "", ""),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            {},
            ("patch", "apps", "v1", "a", "deployments", "scale", "d"),
        ),
        ("POST", "/api/v1/nodes", {}, ("create", "", "v1", "", "nodes", "", "")),
        ("HEAD", "/api/v1/nodes/n", {}, ("get", "", "v1", "", "nodes", "", "n")),
        (
            "GET",
            "/api/v1/namespaces/a/secrets",
            {"fieldSelector": ["metadata.name=s"]},
            ("list", "", "v1", "a", "secrets", "", "s"),
        ),
        (
            "GET",
            "/api/v1/namespaces/a/secrets",
            {"fieldSelector": ["metadata.name!=s"]},
            ("list", "", "v1", "a", "secrets", "", ""),
        ),
    ],
)
def test_a_resource_request_is_read_as_upstream_does(
    method: str, path: str, query: dict[str, list[str]], expected: tuple[str, ...]
) -> None:
    info = parse_request_info(method, path, query)
    found = (info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name)
    assert found == expected and info.is_resource


@pytest.mark.parametrize("path", ["/", "/api", "/apis/", "/api/v1", "/apis/apps", "/apis/apps/v1", "/livez/ping"])
def test_other_paths_are_no_resources(path: str) -> None:
    info = parse_request_info("GET", path, {})
    assert not info.is_resource and info.verb == "get"


@pytest.mark.parametrize(
    "path",
    [
        "/api//v1",
        "/api/v1/../secrets",
        "/api/v1/./pods",
        "/api/v1/%2e%2e/pods",
        "/api/v1/a%2fb",
        "/api/v1/a%252fb",
        "/api/v1/%ff",
        "/api/v1/a%00",
        "/api/v1/a\\b",
        "api/v1",
    ],
)
def test_an_ambiguous_path_is_refused(path: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_request_info("GET", path, {})
    assert refused.value.code == 400
